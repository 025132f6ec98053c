"""A class for each algorithm. Generated from the declarations by ``make generate``; not to be edited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from clary.sdk.estimator import Options, TypedEstimator

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["KMeans", "LinearLearner"]


class KMeans(TypedEstimator):
    """Groups rows into k clusters in one streaming pass over data of any size.

    Rows in memory, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``.

    feature_dim: Number of features in each row. An integer at least 1. Told by the data if not given.
    k: Number of clusters of the final model. An integer at least 1.
    epochs: Passes over the training data. An integer at least 1. Default: 1.
    eval_metrics: Metrics reported for the test channel: mean (msd) and sum (ssd) of squared distances. A JSON
        list of one or more of 'msd', 'ssd', each at most once. Default: ["msd"].
    extra_center_factor: The streaming phase keeps k times this many centers and merges them to k at the end;
        'auto' is 10 for up to ten clusters, up to 100 for about 25, and again 10 from 250 on. An integer at least
        1 or 'auto'. Default: auto.
    half_life_time_size: Points after which an observation counts half in its center; 0 means no decay. An integer
        at least 0. Default: 0.
    init_method: How the starting centers are picked from the first batch. One of 'random', 'kmeans++'. Default:
        random.
    local_lloyd_init_method: How each final Lloyd run over the streamed centers starts. One of 'random',
        'kmeans++'. Default: kmeans++.
    local_lloyd_max_iter: Iteration limit of each final Lloyd run. An integer at least 1. Default: 300.
    local_lloyd_num_trials: Final Lloyd runs, of which the one with the lowest loss is kept; 'auto' is 10. An
        integer at least 1 or 'auto'. Default: auto.
    local_lloyd_tol: Relative change in loss at which a Lloyd run stops. A number at least 0 and at most 1.
        Default: 0.0001.
    mini_batch_size: Rows per batch on each host. An integer at least 1. Default: 5000.
    """

    algorithm: ClassVar[str] = "kmeans"

    def __init__(
        self,
        role: str | None = None,
        instance_count: int = 1,
        instance_type: str | None = None,
        k: int | None = None,
        *,
        feature_dim: int | None = None,
        epochs: int | None = None,
        eval_metrics: Sequence[str] | None = None,
        extra_center_factor: int | Literal["auto"] | None = None,
        half_life_time_size: int | None = None,
        init_method: Literal["random", "kmeans++"] | None = None,
        local_lloyd_init_method: Literal["random", "kmeans++"] | None = None,
        local_lloyd_max_iter: int | None = None,
        local_lloyd_num_trials: int | Literal["auto"] | None = None,
        local_lloyd_tol: float | None = None,
        mini_batch_size: int | None = None,
        **options: Unpack[Options],
    ) -> None:
        given = {
            "k": k,
            "feature_dim": feature_dim,
            "epochs": epochs,
            "eval_metrics": eval_metrics,
            "extra_center_factor": extra_center_factor,
            "half_life_time_size": half_life_time_size,
            "init_method": init_method,
            "local_lloyd_init_method": local_lloyd_init_method,
            "local_lloyd_max_iter": local_lloyd_max_iter,
            "local_lloyd_num_trials": local_lloyd_num_trials,
            "local_lloyd_tol": local_lloyd_tol,
            "mini_batch_size": mini_batch_size,
        }
        super().__init__(role, instance_count, instance_type, given, options)


class LinearLearner(TypedEstimator):
    """Learns a linear classifier or regressor, the best of many candidates that train in the same passes.

    Rows in memory, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``.

    predictor_type: Kind of label: two classes, three or more classes, or a number. One of 'binary_classifier',
        'multiclass_classifier', 'regressor'.
    num_classes: Number of classes of a multiclass classifier, whose labels run from 0 to num_classes - 1; it has
        no effect on the other predictor types. An integer at least 3 and at most 1000000. Required when
        predictor_type is multiclass_classifier.
    accuracy_top_k: A row counts as right in the multiclass top-k accuracy if its class is among this many best
        scores. An integer at least 1 and at most 1000000. Default: 3.
    balance_multiclass_weights: Whether rows are weighted in a multiclass loss so that every class counts the
        same. True or False. Default: False.
    beta_1: Decay of adam's mean of gradients; 'auto' is 0.9. A number at least 0 and below 1 or 'auto'. Default:
        auto.
    beta_2: Decay of adam's mean of squared gradients; 'auto' is 0.999. A number at least 0 and below 1 or 'auto'.
        Default: auto.
    bias_lr_mult: The bias learns at learning_rate times this number; 'auto' is 10. A number above 0 or 'auto'.
        Default: auto.
    bias_wd_mult: The bias has an L2 weight of wd times this number; 'auto' is 0. A number at least 0 or 'auto'.
        Default: auto.
    binary_classifier_model_selection_criteria: Score by which a binary classifier's decision threshold and the
        best candidate are chosen; with loss_function the loss chooses the candidate, and accuracy the threshold.
        One of 'accuracy', 'f_beta', 'precision_at_target_recall', 'recall_at_target_precision', 'loss_function'.
        Default: accuracy.
    early_stopping_patience: Epochs without improvement after which training ends; a value above epochs turns this
        off. An integer at least 1. Default: 3.
    early_stopping_tolerance: Gain, as a share of the best value so far, below which an epoch is no improvement. A
        number above 0. Default: 0.001.
    epochs: Most passes over the training data. An integer at least 1. Default: 15.
    f_beta: Beta of the F-scores and of the selection criterion f_beta. A number above 0. Default: 1.0.
    feature_dim: Number of features in each row; 'auto' takes it from the data. An integer at least 1 or 'auto'.
        Default: auto.
    huber_delta: Error from which on the Huber loss is linear instead of quadratic. A number above 0. Default:
        1.0.
    init_bias: Starting value of the bias. A number. Default: 0.0.
    init_method: Distribution of the starting weights: uniform within init_scale of 0, or normal with init_sigma.
        One of 'uniform', 'normal'. Default: uniform.
    init_scale: Half the width of the uniform distribution of starting weights. A number above 0. Default: 0.07.
    init_sigma: Standard deviation of the normal distribution of starting weights. A number above 0. Default:
        0.01.
    l1: Strength of L1 regularization; 0 turns it off. A number at least 0 or 'auto'. Default: auto.
    learning_rate: Size of the optimizer's steps; 'auto' depends on the optimizer. A number above 0 or 'auto'.
        Default: auto.
    loss: Loss to minimize; it must fit the predictor type, and 'auto' is logistic, softmax_loss or squared_loss.
        One of 'logistic', 'hinge_loss', 'softmax_loss', 'squared_loss', 'absolute_loss',
        'eps_insensitive_squared_loss', 'eps_insensitive_absolute_loss', 'quantile_loss', 'huber_loss' or 'auto'.
        Default: auto.
    loss_insensitivity: Error that costs nothing in the eps_insensitive losses, in training and in metrics. A
        number above 0. Default: 0.01.
    lr_scheduler_factor: What the learning rate is multiplied with at each step of its schedule; 'auto' is 0.99. A
        number above 0 and below 1 or 'auto'. Default: auto.
    lr_scheduler_minimum_lr: Learning rate below which the schedule does not go; 'auto' is 1e-5. A number above 0
        or 'auto'. Default: auto.
    lr_scheduler_step: Updates between two steps of the schedule; 'auto' is 100. An integer at least 1 or 'auto'.
        Default: auto.
    margin: Margin of the hinge loss. A number above 0. Default: 1.0.
    mini_batch_size: Rows per update on each host. An integer at least 1. Default: 1000.
    momentum: Momentum of sgd; 'auto' is 0. A number at least 0 and below 1 or 'auto'. Default: auto.
    normalize_data: Whether features are scaled to standard deviation 1 before training; 'auto' is true. True,
        False or 'auto'. Default: True.
    normalize_label: Whether a regressor's labels are scaled to standard deviation 1; 'auto' is true. True, False
        or 'auto'. Default: auto.
    num_calibration_samples: Most validation rows that calibrate the decision threshold; 'auto' is 10,000,000. An
        integer at least 1 or 'auto'. Default: auto.
    num_models: Candidate models trained side by side, the first with the given settings; 'auto' is 32. An integer
        at least 1 or 'auto'. Default: auto.
    num_point_for_scaler: Rows from which means and standard deviations are estimated before training. An integer
        at least 1. Default: 10000.
    optimizer: Rule of the updates; 'auto' is adam. One of 'sgd', 'adam', 'rmsprop' or 'auto'. Default: auto.
    positive_example_weight_mult: Weight of a binary classifier's positive rows in the loss, where negative ones
        weigh 1; 'balanced' gives both classes the same weight, 'auto' tries several and keeps the best. A number
        above 0 or 'auto' or 'balanced'. Default: 1.0.
    quantile: Quantile of the label that the quantile loss learns to predict. A number above 0 and below 1.
        Default: 0.5.
    target_precision: Precision that the criterion recall_at_target_precision keeps. A number above 0 and below 1.
        Default: 0.8.
    target_recall: Recall that the criterion precision_at_target_recall keeps. A number above 0 and below 1.
        Default: 0.8.
    unbias_data: Whether features are shifted to mean 0 before training; 'auto' follows use_bias. True, False or
        'auto'. Default: auto.
    unbias_label: Whether a regressor's labels are shifted to mean 0 before training; 'auto' follows use_bias.
        True, False or 'auto'. Default: auto.
    use_bias: Whether the model has an intercept. True or False. Default: True.
    use_lr_scheduler: Whether the learning rate is lowered on a schedule. True or False. Default: True.
    wd: Strength of L2 regularization (weight decay); 0 turns it off. A number at least 0 or 'auto'. Default:
        auto.
    """

    algorithm: ClassVar[str] = "linear_learner"

    def __init__(
        self,
        role: str | None = None,
        instance_count: int = 1,
        instance_type: str | None = None,
        predictor_type: Literal["binary_classifier", "multiclass_classifier", "regressor"] | None = None,
        *,
        num_classes: int | None = None,
        accuracy_top_k: int | None = None,
        balance_multiclass_weights: bool | None = None,
        beta_1: float | Literal["auto"] | None = None,
        beta_2: float | Literal["auto"] | None = None,
        bias_lr_mult: float | Literal["auto"] | None = None,
        bias_wd_mult: float | Literal["auto"] | None = None,
        binary_classifier_model_selection_criteria: Literal[
            "accuracy",
            "f_beta",
            "precision_at_target_recall",
            "recall_at_target_precision",
            "loss_function",
        ]
        | None = None,
        early_stopping_patience: int | None = None,
        early_stopping_tolerance: float | None = None,
        epochs: int | None = None,
        f_beta: float | None = None,
        feature_dim: int | Literal["auto"] | None = None,
        huber_delta: float | None = None,
        init_bias: float | None = None,
        init_method: Literal["uniform", "normal"] | None = None,
        init_scale: float | None = None,
        init_sigma: float | None = None,
        l1: float | Literal["auto"] | None = None,
        learning_rate: float | Literal["auto"] | None = None,
        loss: Literal[
            "logistic",
            "hinge_loss",
            "softmax_loss",
            "squared_loss",
            "absolute_loss",
            "eps_insensitive_squared_loss",
            "eps_insensitive_absolute_loss",
            "quantile_loss",
            "huber_loss",
            "auto",
        ]
        | None = None,
        loss_insensitivity: float | None = None,
        lr_scheduler_factor: float | Literal["auto"] | None = None,
        lr_scheduler_minimum_lr: float | Literal["auto"] | None = None,
        lr_scheduler_step: int | Literal["auto"] | None = None,
        margin: float | None = None,
        mini_batch_size: int | None = None,
        momentum: float | Literal["auto"] | None = None,
        normalize_data: bool | Literal["auto"] | None = None,
        normalize_label: bool | Literal["auto"] | None = None,
        num_calibration_samples: int | Literal["auto"] | None = None,
        num_models: int | Literal["auto"] | None = None,
        num_point_for_scaler: int | None = None,
        optimizer: Literal["sgd", "adam", "rmsprop", "auto"] | None = None,
        positive_example_weight_mult: float | str | None = None,
        quantile: float | None = None,
        target_precision: float | None = None,
        target_recall: float | None = None,
        unbias_data: bool | Literal["auto"] | None = None,
        unbias_label: bool | Literal["auto"] | None = None,
        use_bias: bool | None = None,
        use_lr_scheduler: bool | None = None,
        wd: float | Literal["auto"] | None = None,
        **options: Unpack[Options],
    ) -> None:
        given = {
            "predictor_type": predictor_type,
            "num_classes": num_classes,
            "accuracy_top_k": accuracy_top_k,
            "balance_multiclass_weights": balance_multiclass_weights,
            "beta_1": beta_1,
            "beta_2": beta_2,
            "bias_lr_mult": bias_lr_mult,
            "bias_wd_mult": bias_wd_mult,
            "binary_classifier_model_selection_criteria": binary_classifier_model_selection_criteria,
            "early_stopping_patience": early_stopping_patience,
            "early_stopping_tolerance": early_stopping_tolerance,
            "epochs": epochs,
            "f_beta": f_beta,
            "feature_dim": feature_dim,
            "huber_delta": huber_delta,
            "init_bias": init_bias,
            "init_method": init_method,
            "init_scale": init_scale,
            "init_sigma": init_sigma,
            "l1": l1,
            "learning_rate": learning_rate,
            "loss": loss,
            "loss_insensitivity": loss_insensitivity,
            "lr_scheduler_factor": lr_scheduler_factor,
            "lr_scheduler_minimum_lr": lr_scheduler_minimum_lr,
            "lr_scheduler_step": lr_scheduler_step,
            "margin": margin,
            "mini_batch_size": mini_batch_size,
            "momentum": momentum,
            "normalize_data": normalize_data,
            "normalize_label": normalize_label,
            "num_calibration_samples": num_calibration_samples,
            "num_models": num_models,
            "num_point_for_scaler": num_point_for_scaler,
            "optimizer": optimizer,
            "positive_example_weight_mult": positive_example_weight_mult,
            "quantile": quantile,
            "target_precision": target_precision,
            "target_recall": target_recall,
            "unbias_data": unbias_data,
            "unbias_label": unbias_label,
            "use_bias": use_bias,
            "use_lr_scheduler": use_lr_scheduler,
            "wd": wd,
        }
        super().__init__(role, instance_count, instance_type, given, options)
