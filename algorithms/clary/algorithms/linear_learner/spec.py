"""What the linear learner promises: hyperparameters, channels, metrics and payloads."""

from __future__ import annotations

from collections.abc import Iterator

from clary.toolkit import media
from clary.toolkit.parameters import AUTO, Auto, HyperparameterSet, choice, flag, hyperparameters, integer, real
from clary.toolkit.spec import (
    PROGRESS,
    THROUGHPUT,
    AlgorithmSpec,
    Capabilities,
    Channel,
    Field,
    Goal,
    Metric,
    Option,
    Payloads,
)

BINARY, MULTICLASS, REGRESSOR = PREDICTOR_TYPES = ("binary_classifier", "multiclass_classifier", "regressor")
CRITERIA = ("accuracy", "f_beta", "precision_at_target_recall", "recall_at_target_precision", "loss_function")
# The losses of each predictor type; the first is what 'auto' means.
LOSSES = {
    BINARY: ("logistic", "hinge_loss"),
    MULTICLASS: ("softmax_loss",),
    REGRESSOR: (
        "squared_loss",
        "absolute_loss",
        "eps_insensitive_squared_loss",
        "eps_insensitive_absolute_loss",
        "quantile_loss",
        "huber_loss",
    ),
}
# Hyperparameters that act only where another one has one of these values.
_ACTS_WITH: dict[str, tuple[str, tuple[str, ...]]] = {
    "num_classes": ("predictor_type", (MULTICLASS,)),
    "accuracy_top_k": ("predictor_type", (MULTICLASS,)),
    "balance_multiclass_weights": ("predictor_type", (MULTICLASS,)),
    "binary_classifier_model_selection_criteria": ("predictor_type", (BINARY,)),
    "num_calibration_samples": ("predictor_type", (BINARY,)),
    "positive_example_weight_mult": ("predictor_type", (BINARY,)),
    "f_beta": ("predictor_type", (BINARY, MULTICLASS)),
    "normalize_label": ("predictor_type", (REGRESSOR,)),
    "unbias_label": ("predictor_type", (REGRESSOR,)),
    "target_recall": ("binary_classifier_model_selection_criteria", ("precision_at_target_recall",)),
    "target_precision": ("binary_classifier_model_selection_criteria", ("recall_at_target_precision",)),
    "margin": ("loss", ("hinge_loss",)),
    "quantile": ("loss", ("quantile_loss",)),
    "huber_delta": ("loss", ("huber_loss",)),
    "loss_insensitivity": ("loss", ("eps_insensitive_squared_loss", "eps_insensitive_absolute_loss")),
    "beta_1": ("optimizer", ("adam",)),
    "beta_2": ("optimizer", ("adam",)),
    "momentum": ("optimizer", ("sgd",)),
    "init_scale": ("init_method", ("uniform",)),
    "init_sigma": ("init_method", ("normal",)),
    "init_bias": ("use_bias", ("true",)),
    "bias_lr_mult": ("use_bias", ("true",)),
    "bias_wd_mult": ("use_bias", ("true",)),
    "lr_scheduler_step": ("use_lr_scheduler", ("true",)),
    "lr_scheduler_factor": ("use_lr_scheduler", ("true",)),
    "lr_scheduler_minimum_lr": ("use_lr_scheduler", ("true",)),
}


@hyperparameters
class Hyperparameters(HyperparameterSet):
    """The managed linear learner's hyperparameters, names and defaults unchanged."""

    predictor_type: str = choice(
        of=PREDICTOR_TYPES, required=True, doc="Kind of label: two classes, three or more classes, or a number."
    )
    num_classes: int | None = integer(
        at_least=3,
        at_most=1000000,
        required="when predictor_type is multiclass_classifier",
        doc="Number of classes of a multiclass classifier, whose labels run from 0 to num_classes - 1; it has no "
        "effect on the other predictor types.",
    )
    accuracy_top_k: int = integer(
        3,
        at_least=1,
        at_most=1000000,
        doc="A row counts as right in the multiclass top-k accuracy if its class is among this many best scores.",
    )
    balance_multiclass_weights: bool = flag(
        False, doc="Whether rows are weighted in a multiclass loss so that every class counts the same."
    )
    beta_1: float | Auto = real(
        AUTO, at_least=0, below=1, auto=True, doc="Decay of adam's mean of gradients; 'auto' is 0.9."
    )
    beta_2: float | Auto = real(
        AUTO, at_least=0, below=1, auto=True, doc="Decay of adam's mean of squared gradients; 'auto' is 0.999."
    )
    bias_lr_mult: float | Auto = real(
        AUTO, above=0, auto=True, doc="The bias learns at learning_rate times this number; 'auto' is 10."
    )
    bias_wd_mult: float | Auto = real(
        AUTO, at_least=0, auto=True, doc="The bias has an L2 weight of wd times this number; 'auto' is 0."
    )
    binary_classifier_model_selection_criteria: str = choice(
        "accuracy",
        of=CRITERIA,
        old={"f1": "f_beta", "cross_entropy_loss": "loss_function"},
        doc="Score by which a binary classifier's decision threshold and the best candidate are chosen; with "
        "loss_function the loss chooses the candidate, and accuracy the threshold.",
    )
    early_stopping_patience: int = integer(
        3,
        at_least=1,
        doc="Epochs without improvement after which training ends; a value above epochs turns this off.",
    )
    early_stopping_tolerance: float = real(
        0.001, above=0, doc="Gain, as a share of the best value so far, below which an epoch is no improvement."
    )
    epochs: int = integer(15, at_least=1, doc="Most passes over the training data.")
    f_beta: float = real(1.0, above=0, doc="Beta of the F-scores and of the selection criterion f_beta.")
    feature_dim: int | Auto = integer(
        AUTO, at_least=1, auto=True, doc="Number of features in each row; 'auto' takes it from the data."
    )
    huber_delta: float = real(1.0, above=0, doc="Error from which on the Huber loss is linear instead of quadratic.")
    init_bias: float = real(0.0, doc="Starting value of the bias.")
    init_method: str = choice(
        "uniform",
        of=("uniform", "normal"),
        doc="Distribution of the starting weights: uniform within init_scale of 0, or normal with init_sigma.",
    )
    init_scale: float = real(0.07, above=0, doc="Half the width of the uniform distribution of starting weights.")
    init_sigma: float = real(0.01, above=0, doc="Standard deviation of the normal distribution of starting weights.")
    l1: float | Auto = real(
        AUTO,
        at_least=0,
        auto=True,
        tunable=(1e-7, 1),
        scaling="Logarithmic",
        doc="Strength of L1 regularization; 0 turns it off.",
    )
    learning_rate: float | Auto = real(
        AUTO,
        above=0,
        auto=True,
        tunable=(1e-5, 1),
        scaling="Logarithmic",
        doc="Size of the optimizer's steps; 'auto' depends on the optimizer.",
    )
    loss: str = choice(
        AUTO,
        of=tuple(loss for each in LOSSES.values() for loss in each),
        auto=True,
        doc="Loss to minimize; it must fit the predictor type, and 'auto' is logistic, softmax_loss or squared_loss.",
    )
    loss_insensitivity: float = real(
        0.01, above=0, doc="Error that costs nothing in the eps_insensitive losses, in training and in metrics."
    )
    lr_scheduler_factor: float | Auto = real(
        AUTO,
        above=0,
        below=1,
        auto=True,
        doc="What the learning rate is multiplied with at each step of its schedule; 'auto' is 0.99.",
    )
    lr_scheduler_minimum_lr: float | Auto = real(
        AUTO, above=0, auto=True, doc="Learning rate below which the schedule does not go; 'auto' is 1e-5."
    )
    lr_scheduler_step: int | Auto = integer(
        AUTO, at_least=1, auto=True, doc="Updates between two steps of the schedule; 'auto' is 100."
    )
    margin: float = real(1.0, above=0, doc="Margin of the hinge loss.")
    mini_batch_size: int = integer(1000, at_least=1, tunable=(100, 5000), doc="Rows per update on each host.")
    momentum: float | Auto = real(AUTO, at_least=0, below=1, auto=True, doc="Momentum of sgd; 'auto' is 0.")
    normalize_data: bool | Auto = flag(
        True, auto=True, doc="Whether features are scaled to standard deviation 1 before training; 'auto' is true."
    )
    normalize_label: bool | Auto = flag(
        AUTO, auto=True, doc="Whether a regressor's labels are scaled to standard deviation 1; 'auto' is true."
    )
    num_calibration_samples: int | Auto = integer(
        AUTO,
        at_least=1,
        auto=True,
        doc="Most validation rows that calibrate the decision threshold; 'auto' is 10,000,000.",
    )
    num_models: int | Auto = integer(
        AUTO,
        at_least=1,
        auto=True,
        doc="Candidate models trained side by side, the first with the given settings; 'auto' is 32.",
    )
    num_point_for_scaler: int = integer(
        10000, at_least=1, doc="Rows from which means and standard deviations are estimated before training."
    )
    optimizer: str = choice(
        AUTO, of=("sgd", "adam", "rmsprop"), auto=True, doc="Rule of the updates; 'auto' is adam."
    )
    positive_example_weight_mult: float | str = real(
        1.0,
        above=0,
        words=("balanced",),
        auto=True,
        tunable=(1e-5, 1e5),
        scaling="Logarithmic",
        doc="Weight of a binary classifier's positive rows in the loss, where negative ones weigh 1; 'balanced' "
        "gives both classes the same weight, 'auto' tries several and keeps the best.",
    )
    quantile: float = real(
        0.5, above=0, below=1, doc="Quantile of the label that the quantile loss learns to predict."
    )
    target_precision: float = real(
        0.8, above=0, below=1, doc="Precision that the criterion recall_at_target_precision keeps."
    )
    target_recall: float = real(
        0.8, above=0, below=1, doc="Recall that the criterion precision_at_target_recall keeps."
    )
    unbias_data: bool | Auto = flag(
        AUTO, auto=True, doc="Whether features are shifted to mean 0 before training; 'auto' follows use_bias."
    )
    unbias_label: bool | Auto = flag(
        AUTO,
        auto=True,
        doc="Whether a regressor's labels are shifted to mean 0 before training; 'auto' follows use_bias.",
    )
    use_bias: bool = flag(True, tunable=True, doc="Whether the model has an intercept.")
    use_lr_scheduler: bool = flag(True, doc="Whether the learning rate is lowered on a schedule.")
    wd: float | Auto = real(
        AUTO,
        at_least=0,
        auto=True,
        tunable=(1e-7, 1),
        scaling="Logarithmic",
        doc="Strength of L2 regularization (weight decay); 0 turns it off.",
    )

    def problems(self) -> Iterator[str]:
        """The loss fits the predictor type, and a multiclass classifier knows how many classes there are."""
        fitting = LOSSES[self.predictor_type]
        if self.chosen_loss not in fitting:
            wanted = f"predictor_type {self.predictor_type!r}, which takes {_one_of(fitting)}"
            yield f"loss {self.loss!r} does not fit {wanted}"
        if self.predictor_type == MULTICLASS and self.num_classes is None:
            yield f"no value was given for 'num_classes', which must be set when predictor_type is {MULTICLASS}"

    @property
    def chosen_loss(self) -> str:
        """The loss, after 'auto'."""
        return LOSSES[self.predictor_type][0] if self.loss == AUTO else self.loss

    @property
    def chosen_optimizer(self) -> str:
        """The optimizer, after 'auto'."""
        return "adam" if self.optimizer == AUTO else self.optimizer

    @property
    def places(self) -> dict[str, str]:
        """What stands in the gaps of metric names: beta with three decimals, and k."""
        return {"beta": f"{self.f_beta:.3f}", "k": str(self.accuracy_top_k)}

    def without_effect(self) -> Iterator[str]:
        """A sentence for each hyperparameter that differs from its default and yet changes nothing in this job."""
        declared = self.parameters()
        for name, (other, values) in _ACTS_WITH.items():
            found = {"loss": self.chosen_loss, "optimizer": self.chosen_optimizer}.get(other, getattr(self, other))
            spelled = declared[other].spell(found)
            if spelled not in values and getattr(self, name) != declared[name].default:
                yield f"{name} has no effect with {other} {spelled}; it acts with {_one_of(values)}"


def _one_of(names: tuple[str, ...]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


# Scores of the final model: goal, what stands in the line, predictor type, meaning.
_SCORES: dict[str, tuple[Goal, str, str, str]] = {
    "absolute_loss": ("Minimize", "absolute_loss <loss>", REGRESSOR, "Mean absolute error, in units of the label"),
    "mse": ("Minimize", "mse <loss>", REGRESSOR, "Mean squared error, in squared units of the label"),
    "rmse": ("Minimize", "rmse <loss>", REGRESSOR, "Root of the mean squared error, in units of the label"),
    "binary_classification_accuracy": (
        "Maximize",
        "binary_classification_accuracy <score>",
        BINARY,
        "Share of rows labeled right at the calibrated threshold",
    ),
    "binary_f_beta": ("Maximize", "binary_f_{beta} <score>", BINARY, "F-score at the calibrated threshold"),
    "precision": (
        "Maximize",
        "precision <score>",
        BINARY,
        "Share of rows labeled 1 at the calibrated threshold that are of class 1",
    ),
    "recall": (
        "Maximize",
        "recall <score>",
        BINARY,
        "Share of rows of class 1 labeled 1 at the calibrated threshold",
    ),
    "roc_auc_score": (
        "Maximize",
        "roc_auc_score <score>",
        BINARY,
        "Area under the ROC curve: chance that a row of class 1 scores above one of class 0",
    ),
    "multiclass_accuracy": (
        "Maximize",
        "multiclass_accuracy <score>",
        MULTICLASS,
        "Share of rows whose class has the best score",
    ),
    "multiclass_top_k_accuracy": (
        "Maximize",
        "multiclass_top_k_accuracy_{k} <score>",
        MULTICLASS,
        "Share of rows whose class is among the accuracy_top_k best scores",
    ),
    "dcg": (
        "Maximize",
        "dcg <score>",
        MULTICLASS,
        "Discounted cumulative gain: mean of 1 / log2(1 + rank of the row's class among the scores)",
    ),
    "macro_f_beta": ("Maximize", "macro_f_{beta} <score>", MULTICLASS, "Mean over classes of the F-score"),
    "macro_precision": ("Maximize", "macro_precision <score>", MULTICLASS, "Mean over classes of the precision"),
    "macro_recall": ("Maximize", "macro_recall <score>", MULTICLASS, "Mean over classes of the recall"),
}
_GIVEN = {
    "test": "where there is a test channel",
    "validation": "where there is a validation channel",
    "train": "where there is no validation channel",
}
# What the managed algorithm does not report, though it could.
_UNREPORTED = ("test:rmse", "train:rmse", "train:roc_auc_score")


def _score(channel: str, name: str) -> Metric:
    goal, words, predictor_type, meaning = _SCORES[name]
    return Metric(
        f"{channel}:{name}",
        goal,
        f"#quality_metric: host={{host}}, {channel} {words}={{value}}",
        f"{meaning}, over the {'training' if channel == 'train' else channel} rows.",
        f"once at the end, {_GIVEN[channel]} and predictor_type is {predictor_type}",
    )


def _scores(channel: str) -> tuple[Metric, ...]:
    return tuple(_score(channel, name) for name in _SCORES if f"{channel}:{name}" not in _UNREPORTED)


_OBJECTIVE = "{objective}_objective <loss>={value}"

_METRICS = (
    *_scores("test"),
    *_scores("validation"),
    Metric(
        "test:objective_loss",
        "Minimize",
        f"#quality_metric: host={{host}}, test {_OBJECTIVE}",
        "Mean training loss of the final model over the test rows, in units of the label.",
        f"once at the end, {_GIVEN['test']}",
    ),
    Metric(
        "validation:objective_loss",
        "Minimize",
        f"#quality_metric: host={{host}}, epoch={{epoch}}, validation {_OBJECTIVE}",
        "Mean training loss of the first candidate over the validation rows, in units of the label.",
        f"after every epoch, {_GIVEN['validation']}",
    ),
    Metric(
        "validation:objective_loss:final",
        "Minimize",
        f"#quality_metric: host={{host}}, validation {_OBJECTIVE}",
        "Mean training loss of the final model over the validation rows, in units of the label.",
        f"once at the end, {_GIVEN['validation']}",
    ),
    Metric(
        "train:objective_loss",
        "Minimize",
        f"#quality_metric: host={{host}}, epoch={{epoch}}, train {_OBJECTIVE}",
        "Mean training loss of the first candidate in the epoch, in units of the normalized label.",
        "after every epoch",
    ),
    Metric(
        "train:objective_loss:final",
        "Minimize",
        f"#quality_metric: host={{host}}, train {_OBJECTIVE}",
        "Mean training loss of the final model over the training rows, in units of the label.",
        f"once at the end, {_GIVEN['train']}",
    ),
    *_scores("train"),
    PROGRESS,
    THROUGHPUT,
)

_CHANNEL_TYPES = (media.RECORDIO_PROTOBUF, media.CSV)

SPEC = AlgorithmSpec(
    name="linear_learner",
    repository="linear-learner",
    title="Linear learner",
    class_name="LinearLearner",
    summary="Learns a linear classifier or regressor, the best of many candidates that train in the same passes.",
    tasks=("binary classification", "multiclass classification", "regression"),
    hyperparameters=Hyperparameters,
    channels=(
        Channel(
            name="train",
            required=True,
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Rows to learn from, each with one label: 0 or 1, a class from 0 on, or a number.",
        ),
        Channel(
            name="validation",
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Rows that end training early, calibrate the decision threshold and choose the best candidate.",
        ),
        Channel(
            name="test",
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Rows to score once with the final model.",
        ),
    ),
    metrics=_METRICS,
    payloads=Payloads(
        requests=(media.CSV, media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF),
        responses=(media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF, media.CSV),
        fields=(
            Field(
                name="predicted_label",
                optional=True,
                doc="Class of the row: 1 where the score reaches the calibrated threshold, or the class with the "
                "best score; a regressor has none.",
            ),
            Field(
                name="score",
                shape="vector",
                doc="Probability of class 1 (hinge_loss: signed margin), probability of each class, or the number "
                "that a regressor predicts.",
            ),
            Field(
                name="base",
                shape="vector",
                optional=True,
                doc="Linear score of a row with average features, to which the contributions are added; one for "
                "each class of a multiclass classifier.",
            ),
            Field(
                name="contributions",
                shape="vector",
                optional=True,
                doc="What each feature adds to the linear score: its weight times its distance from the average; "
                "with several classes a list for each.",
            ),
        ),
        options=(
            Option(
                name="contributions",
                doc="Whether each answer says what every feature adds to the score, true or false.",
                extension=True,
            ),
        ),
    ),
    capabilities=Capabilities(gpu=True, hosts=True, resumes=True, supervised=True),
    extras=("train", "serve", "linear_learner"),
)
