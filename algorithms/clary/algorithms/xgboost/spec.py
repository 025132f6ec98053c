"""What XGBoost promises: hyperparameters, channels, metrics and payloads.

The managed algorithm's names, ranges and defaults. A default is what its guide says; a hyperparameter that a job
leaves out is not sent to the library, which then has its own way (see ``given``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from clary.toolkit import media
from clary.toolkit.parameters import (
    Auto,
    HyperparameterSet,
    choice,
    flag,
    hyperparameters,
    integer,
    names,
    real,
    text,
)
from clary.toolkit.spec import AlgorithmSpec, Capabilities, Channel, Field, Metric, Option, Payloads

OBJECTIVES = (
    "reg:squarederror",
    "reg:linear",
    "reg:squaredlogerror",
    "reg:logistic",
    "reg:pseudohubererror",
    "reg:absoluteerror",
    "reg:gamma",
    "reg:tweedie",
    "binary:logistic",
    "binary:logitraw",
    "binary:hinge",
    "count:poisson",
    "multi:softmax",
    "multi:softprob",
    "rank:pairwise",
    "rank:ndcg",
    "rank:map",
    "survival:cox",
    "survival:aft",
)
# In the managed algorithm's list by mistake: it is the name of another hyperparameter.
NO_OBJECTIVE = "aft_loss_distribution"

# Name: whether larger is better, and what it is. These are computed here, not by the library.
COMPUTED = {
    "accuracy": (True, "Share of rows labeled right, each with its weight."),
    "balanced_accuracy": (True, "Mean recall over the classes that occur."),
    "f1": (True, "Macro-averaged F1, also for two classes."),
    "f1_binary": (True, "F1 of class 1 of two."),
    "f1_macro": (True, "Macro-averaged F1."),
    "mae": (False, "Mean absolute error."),
    "mse": (False, "Mean squared error."),
    "precision": (True, "Precision of class 1 of two."),
    "precision_macro": (True, "Macro-averaged precision."),
    "precision_micro": (True, "Micro-averaged precision."),
    "r2": (True, "Coefficient of determination."),
    "recall": (True, "Recall of class 1 of two."),
    "recall_macro": (True, "Macro-averaged recall."),
    "recall_micro": (True, "Micro-averaged recall."),
    "rmse": (False, "Root mean squared error."),
}
LIBRARY = {
    "aft-nloglik": (False, "Negative log likelihood of survival:aft, and of no other objective."),
    "auc": (True, "Area under the ROC curve, for objectives that begin with binary: or rank:."),
    "aucpr": (True, "Area under the precision-recall curve."),
    "cox-nloglik": (False, "Negative partial log likelihood of survival:cox."),
    "error": (
        False,
        "Share of rows labeled wrong at 0.5; error@t, at another threshold, is reported under that name.",
    ),
    "gamma-deviance": (False, "Residual deviance of reg:gamma."),
    "gamma-nloglik": (False, "Negative log likelihood of reg:gamma."),
    "interval-regression-accuracy": (
        True,
        "Share of predictions inside the label's interval; larger is better, whatever the published goal says.",
    ),
    "logloss": (False, "Binary log loss."),
    "map": (True, "Mean average precision of a ranking."),
    "mape": (False, "Mean absolute percentage error."),
    "merror": (False, "Multiclass error rate."),
    "mlogloss": (False, "Multiclass log loss."),
    "mphe": (False, "Mean pseudo-Huber error."),
    "ndcg": (True, "Normalized discounted cumulative gain."),
    "poisson-nloglik": (False, "Negative log likelihood of count:poisson."),
    "rmsle": (False, "Root mean squared logarithmic error."),
    "tweedie-nloglik": (False, "Negative log likelihood of reg:tweedie, at tweedie_variance_power."),
}
# The managed algorithm's order: computed by the container and maximized, library's maximized, then the rest.
METRICS = (
    "accuracy",
    "auc",
    "aucpr",
    "balanced_accuracy",
    "f1",
    "f1_binary",
    "f1_macro",
    "map",
    "ndcg",
    "precision",
    "precision_macro",
    "precision_micro",
    "r2",
    "recall",
    "recall_macro",
    "recall_micro",
    "aft-nloglik",
    "cox-nloglik",
    "error",
    "gamma-deviance",
    "gamma-nloglik",
    "interval-regression-accuracy",
    "logloss",
    "mae",
    "mape",
    "merror",
    "mlogloss",
    "mphe",
    "mse",
    "poisson-nloglik",
    "rmse",
    "rmsle",
    "tweedie-nloglik",
)
ON_TRAIN = ("rmse", "error", "merror", "auc", "logloss", "mlogloss", "mae", "map", "ndcg")
OF_TWO_CLASSES = ("f1_binary", "precision", "recall")
# What can be said of several classes; every other metric compares one number with the label.
OF_MANY_CLASSES = (
    "accuracy",
    "aucpr",
    "balanced_accuracy",
    "f1",
    "f1_binary",
    "f1_macro",
    "merror",
    "mlogloss",
    "precision",
    "precision_macro",
    "precision_micro",
    "recall",
    "recall_macro",
    "recall_micro",
)
OF_NUMBERS = ("mae", "mse", "r2", "rmse")
# Computed here from the classes that are predicted.
OF_LABELS = frozenset(COMPUTED).difference(OF_NUMBERS)
OF_SURVIVAL_AFT = ("aft-nloglik", "interval-regression-accuracy")
OF_CLASSES = ("merror", "mlogloss")
OF_RANKINGS = ("map", "ndcg")

GROWERS = ("grow_colmaker", "distcol", "grow_histmaker", "grow_skmaker", "grow_quantile_histmaker")
LINEAR_UPDATERS = ("shotgun", "coord_descent")
TREE_UPDATERS = ("refresh", "prune")
# The managed algorithm's list, and at its end one that only its rules know: today's usual way to grow trees.
UPDATERS = (
    "grow_colmaker",
    "distcol",
    "grow_histmaker",
    "grow_skmaker",
    "sync",
    "refresh",
    "prune",
    "shotgun",
    "coord_descent",
    "grow_quantile_histmaker",
)

_NUMBER_LIST = r"\[\s*\d+(\s*,\s*\d+)*\s*\]"
_SIGNS = r"[(\[]\s*[+-]?[01](\s*,\s*[+-]?[01])*\s*,?\s*[)\]]"


def larger_is_better(metric: str) -> bool:
    """Whether a metric, with or without a threshold behind it, is to be maximized."""
    return {**COMPUTED, **LIBRARY}[metric.partition("@")[0]][0]


@hyperparameters
class Hyperparameters(HyperparameterSet):
    """The managed XGBoost's hyperparameters, names and defaults unchanged."""

    num_round: int = integer(at_least=1, required=True, tunable=(1, 4000), doc="Number of boosting rounds.")
    num_class: int | None = integer(
        at_least=2,
        required="when objective is multi:softmax or multi:softprob",
        doc="Number of classes, for the two multi: objectives.",
    )
    alpha: float = real(
        0, at_least=0, tunable=(0, 1000), doc="L1 penalty on leaf weights. reg_alpha is another name of it."
    )
    base_score: float = real(
        0.5,
        at_least=0,
        doc="Starting prediction of every row; where it is not set, the library fits it to the labels.",
    )
    booster: str = choice(
        "gbtree", of=("gbtree", "gblinear", "dart"), doc="Trees, a linear model, or trees with dropout."
    )
    colsample_bylevel: float = real(
        1, above=0, at_most=1, tunable=(0.1, 1), doc="Share of columns drawn per depth level."
    )
    colsample_bynode: float = real(1, above=0, at_most=1, tunable=(0.1, 1), doc="Share of columns drawn per split.")
    colsample_bytree: float = real(1, above=0, at_most=1, tunable=(0.5, 1), doc="Share of columns drawn per tree.")
    csv_weights: int = integer(
        0, at_least=0, at_most=1, doc="With 1, the second CSV column, behind the label, is the row's weight."
    )
    deterministic_histogram: bool = flag(
        True, doc="Without effect: the library always builds its GPU histograms deterministically."
    )
    early_stopping_rounds: int | None = integer(
        at_least=1,
        doc="Stop when the validation metric has not improved for this many rounds, and keep the best round's model; "
        "needs a validation channel and eval_metric, whose last entry counts. Not set: off.",
    )
    eta: float = real(
        0.3,
        at_least=0,
        at_most=1,
        tunable=(0.1, 0.5),
        doc="Shrinkage of each new tree. learning_rate is another name of it.",
    )
    eval_metric: tuple[str, ...] | None = names(
        of=METRICS,
        commas=True,
        at=("error", "ndcg", "map"),
        doc="Metrics to report, with commas between them; not set: the library's choice for the objective.",
    )
    gamma: float = real(
        0,
        at_least=0,
        tunable=(0, 5),
        doc="Loss reduction that a split must reach. min_split_loss is another name of it.",
    )
    grow_policy: str = choice(
        "depthwise",
        of=("depthwise", "lossguide"),
        doc="Split nodes level by level or by largest gain; tree_method exact always goes by level.",
    )
    interaction_constraints: str | None = text(
        pattern=rf"\[\s*{_NUMBER_LIST}(\s*,\s*{_NUMBER_LIST})*\s*\]",
        wording="a list of lists of feature numbers from 0, such as [[0,1],[2,3,4]]",
        doc="Feature numbers that may appear together on a path, such as [[0,1],[2,3,4]].",
    )
    lambda_: float = real(
        1,
        at_least=0,
        tunable=(0, 1000),
        name="lambda",
        doc="L2 penalty on leaf weights. reg_lambda is another name of it.",
    )
    lambda_bias: float = real(
        0,
        at_least=0,
        at_most=1,
        doc="Without effect: the library no longer penalizes the bias of the linear booster.",
    )
    max_bin: int = integer(256, at_least=0, doc="Number of histogram bins per feature; the library needs at least 2.")
    max_delta_step: float = real(
        0, at_least=0, tunable=(0, 10), doc="Cap on the weight change of a leaf; 0 means none."
    )
    max_depth: int = integer(
        6, at_least=0, tunable=(0, 10), doc="Depth limit of a tree; 0 means none, which tree_method exact cannot do."
    )
    max_leaves: int = integer(0, at_least=0, doc="Limit on the leaves of a tree; 0 means none.")
    min_child_weight: float = real(
        1, at_least=0, tunable=(0, 120), doc="Smallest sum of hessians that a child may have."
    )
    monotone_constraints: str = text(
        "(0, 0)",
        pattern=_SIGNS,
        wording="a list of -1, 0 and 1, one for each feature, such as (0,1,-1)",
        doc="For each feature, whether the prediction may only fall (-1) or rise (1) with it; 0 means no constraint.",
    )
    normalize_type: str = choice(
        "tree", of=("tree", "forest"), doc="Dart: how new trees are weighted against dropped ones."
    )
    nthread: int | None = integer(at_least=1, doc="Number of threads; not set: all.")
    objective: str = choice("reg:squarederror", of=(*OBJECTIVES, NO_OBJECTIVE), doc="The learning task.")
    one_drop: int = integer(0, at_least=0, at_most=1, doc="Dart: with 1, each dropout drops at least one tree.")
    process_type: str = choice(
        "default",
        of=("default", "update"),
        doc="Grow new trees, or update those of an earlier model, given in the channel model.",
    )
    rate_drop: float = real(0.0, at_least=0, at_most=1, doc="Dart: share of trees dropped per round.")
    refresh_leaf: int = integer(
        1,
        at_least=0,
        at_most=1,
        doc="Updater refresh: with 1, it also rewrites leaf values, with 0 statistics alone.",
    )
    sample_type: str = choice("uniform", of=("uniform", "weighted"), doc="Dart: how dropped trees are drawn.")
    scale_pos_weight: float = real(
        1, above=0, doc="Weight of positive rows, often the number of negatives divided by that of positives."
    )
    seed: int = integer(0, above=-2147483648, below=2147483647, doc="Random seed.")
    single_precision_histogram: bool = flag(
        False, doc="Without effect: the library has one precision of histograms, the double one."
    )
    sketch_eps: float = real(
        0.03,
        above=0,
        below=1,
        doc="Accuracy of tree_method approx: it then has 1/sketch_eps bins, unless max_bin is set. Without effect "
        "elsewhere.",
    )
    skip_drop: float = real(0.0, at_least=0, at_most=1, doc="Dart: chance that a round drops no tree.")
    subsample: float = real(1, above=0, at_most=1, tunable=(0.5, 1), doc="Share of rows drawn per round.")
    tree_method: str | Auto = choice(
        "auto",
        of=("exact", "approx", "hist", "gpu_hist"),
        auto=True,
        doc="How splits are found; 'auto' is hist, and gpu_hist is hist on a GPU.",
    )
    tweedie_variance_power: float = real(1.5, above=1, below=2, doc="Variance power of the Tweedie objective.")
    updater: tuple[str, ...] = names(
        ("grow_colmaker", "prune"),
        of=UPDATERS,
        commas=True,
        doc="Parts that grow or change trees, with commas between them; not set: what tree_method takes.",
    )
    verbosity: int = integer(
        1, at_least=0, at_most=3, doc="Messages of the library: 0 none, 1 warnings, 2 information, 3 debugging."
    )
    aft_loss_distribution: str | None = choice(
        of=("normal", "logistic", "extreme"), doc="Noise distribution of survival:aft; not set: normal."
    )
    aft_loss_distribution_scale: float | None = real(at_least=0, doc="Scale of that distribution; not set: 1.")
    dsplit: str | None = choice(
        of=("row", "col"), doc="Without effect: the library shares data out by rows on several hosts."
    )
    num_parallel_tree: int | None = integer(
        at_least=1, doc="Trees grown per round, as in a random forest; not set: 1."
    )
    predictor: str | Auto | None = choice(
        of=("cpu_predictor", "gpu_predictor"),
        auto=True,
        doc="Without effect: the library predicts where the data are.",
    )
    prob_buffer_row: int | None = integer(above=1, doc="Without effect: the library has no such buffer any more.")
    sampling_method: str | None = choice(
        of=("uniform", "gradient_based"),
        doc="How subsample draws rows, evenly or by their gradients; not set: uniform.",
    )
    save_model_on_termination: bool = flag(
        False, doc="Write the model after every round, so that a job that is killed leaves the last one."
    )
    use_dask_gpu_training: bool = flag(
        False, doc="Train on the GPUs of all hosts; needs tree_method gpu_hist or hist, and CSV or Parquet files."
    )
    kfold: int | None = integer(
        at_least=2,
        name="_kfold",
        doc="Number of folds of a cross-validation; one model is trained and kept for each.",
    )
    num_cv_round: int | None = integer(
        at_least=1, name="_num_cv_round", doc="Number of repetitions of the cross-validation; not set: 1."
    )
    tuning_objective_metric: str | None = choice(
        of=tuple(f"validation:{name}" for name in METRICS),
        name="_tuning_objective_metric",
        doc="Metric that a tuning job compares; it is reported beside those of eval_metric.",
    )
    silent: int = integer(0, at_least=0, at_most=1, doc="With 1, verbosity is 0 unless it is set.")

    def spell(self) -> dict[str, str]:
        """What the job set, and nothing more: the rest is the library's choice, and not always the default."""
        return {name: value for name, value in super().spell().items() if name in self.given}

    def problems(self) -> Iterator[str]:
        """Sentences about rules that span several hyperparameters."""
        yield from self._objective_problems()
        for name in self.metrics:
            yield from self._metric_problems(name)
        yield from self._tree_problems()
        if "updater" in self.given or self.process_type == "update":
            yield from self._updater_problems()

    @property
    def multiclass(self) -> bool:
        """Whether the objective is one of several classes."""
        return self.objective.startswith("multi:")

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that the job asked for, the tuning objective among them; sorted where both are given."""
        asked = self.eval_metric or ()
        if self.tuning_objective_metric is None:
            return asked
        tuned = self.tuning_objective_metric.partition(":")[2]
        return tuple(sorted({*asked, tuned})) if asked else (tuned,)

    @property
    def updaters(self) -> tuple[str, ...]:
        """The updaters that the job named; none where it left the choice to ``tree_method``."""
        return self.updater if "updater" in self.given else ()

    def _objective_problems(self) -> Iterator[str]:
        if self.objective == NO_OBJECTIVE:
            yield (
                "objective must name a learning task, and aft_loss_distribution is a hyperparameter of its own; "
                "for survival times set objective to survival:aft, and aft_loss_distribution to normal, logistic "
                "or extreme"
            )
        if self.multiclass and self.num_class is None:
            yield f"num_class must be set to the number of classes when objective is {self.objective}"
        if not self.multiclass and self.num_class is not None:
            yield f"num_class is for multi:softmax and multi:softprob; leave it out of objective {self.objective}"
        if "base_score" in self.given:
            least = f"must be above 0 when objective is {self.objective}; got {self.base_score}"
            if self.objective in ("binary:logistic", "reg:logistic") and not 0 < self.base_score < 1:
                yield f"base_score {least.replace('above 0', 'above 0 and below 1')}"
            if self.objective in _POSITIVE and self.base_score <= 0:
                yield f"base_score {least}"

    def _metric_problems(self, name: str) -> Iterator[str]:
        plain, _, at = name.partition("@")
        objective = self.objective
        if plain in OF_RANKINGS and at and not (at.isdecimal() and int(at)):
            yield f"metric {name} looks at the first rows of a query; the number must be whole and at least 1"
        if plain == "auc" and not objective.startswith(("binary:", "rank:")):
            yield f"metric auc needs an objective that begins with binary: or rank:; objective is {objective}"
        if plain in OF_SURVIVAL_AFT and objective != "survival:aft":
            yield f"metric {plain} needs objective survival:aft; objective is {objective}"
        elif plain in OF_CLASSES and not self.multiclass:
            yield f"metric {plain} needs objective multi:softmax or multi:softprob; objective is {objective}"
        elif self.multiclass and plain not in (*OF_MANY_CLASSES, *OF_SURVIVAL_AFT, "auc"):
            yield f"metric {plain} compares numbers, but objective {objective} predicts classes; take merror"
        if plain in OF_TWO_CLASSES and self.multiclass and self.num_class != 2:
            yield (
                f"metric {plain} is about two classes, and num_class is {self.num_class}; "
                f"take {plain.removesuffix('_binary')}_macro"
            )

    def _tree_problems(self) -> Iterator[str]:
        if "max_bin" in self.given and self.max_bin < 2:
            yield f"max_bin must be at least 2, because a histogram needs two bins; got {self.max_bin}"
        if (
            self.booster != "gblinear"
            and self.tree_method == "exact"
            and "max_depth" in self.given
            and self.max_depth == 0
        ):
            yield "max_depth must be at least 1 when tree_method is exact, which cannot grow trees without a limit"

    def _updater_problems(self) -> Iterator[str]:
        given = ", ".join(self.updaters) or "nothing"
        if self.booster == "gblinear":
            if self.process_type == "update":
                yield "process_type update changes trees, and booster gblinear has none; take booster gbtree or dart"
            elif len(self.updaters) != 1 or self.updaters[0] not in LINEAR_UPDATERS:
                yield f"updater must be one of shotgun, coord_descent when booster is gblinear; got {given}"
        elif self.process_type == "update":
            if not self.updaters or not set(self.updaters) <= set(TREE_UPDATERS):
                yield f"updater must be one or both of refresh, prune when process_type is update; got {given}"
        elif set(self.updaters) & set(LINEAR_UPDATERS):
            yield f"updater must name no shotgun or coord_descent unless booster is gblinear; got {given}"
        elif self.updaters[0] not in GROWERS or sum(each in GROWERS for each in self.updaters) > 1:
            yield f"updater must begin with the one part that grows trees, out of {', '.join(GROWERS)}; got {given}"

    def sign_list(self) -> tuple[int, ...]:
        """``monotone_constraints`` as numbers, none where it is not set."""
        if "monotone_constraints" not in self.given:
            return ()
        return tuple(int(each) for each in self.monotone_constraints.strip("()[], ").split(","))

    def interaction_list(self) -> list[list[int]]:
        """``interaction_constraints`` as lists of feature numbers, none where it is not set."""
        found: list[list[int]] = json.loads(self.interaction_constraints or "[]")
        return found


# Objectives whose starting prediction goes through a logarithm.
_POSITIVE = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft")

ROW_TYPES = (
    "csv",
    "libsvm",
    "parquet",
    "recordio-protobuf",
    media.CSV,
    media.LIBSVM,
    "text/x-libsvm",
    media.PARQUET,
    media.RECORDIO_PROTOBUF,
)
MODEL_TYPE = "application/x-sagemaker-model"
_ASKED = "each round where it is in eval_metric or is the tuning objective, or where the objective has it by default"
# In the managed algorithm's list of what to minimize, although larger is better.
_PUBLISHED_AS_MINIMIZED = "interval-regression-accuracy"


def _metric(channel: str, name: str) -> Metric:
    larger, doc = {**COMPUTED, **LIBRARY}[name]
    return Metric(
        f"{channel}:{name}",
        "Maximize" if larger and name != _PUBLISHED_AS_MINIMIZED else "Minimize",
        f"[{{epoch}}]{{others}}\t{channel}-{name}:{{value}}",
        doc if channel == "validation" else f"On the training rows. {doc}",
        _ASKED + (", and there is a validation channel" if channel == "validation" else ""),
    )


SPEC = AlgorithmSpec(
    name="xgboost",
    repository="sagemaker-xgboost",
    title="XGBoost",
    class_name="XGBoost",
    summary="Gradient boosted trees for regression, classification, ranking, counts and survival times.",
    tasks=(
        "regression",
        "binary classification",
        "multiclass classification",
        "ranking",
        "survival analysis",
        "count regression",
    ),
    hyperparameters=Hyperparameters,
    channels=(
        Channel(
            name="train",
            required=True,
            content_types=ROW_TYPES,
            default_type=media.LIBSVM,
            doc="Training rows, label first; with csv_weights, the weight is the second column.",
        ),
        Channel(
            name="validation",
            content_types=ROW_TYPES,
            default_type=media.LIBSVM,
            doc="Rows to watch, in the same form as those of train.",
        ),
        Channel(
            name="code",
            content_types=("text/python",),
            default_type="text/python",
            input_modes=("File", "FastFile"),
            doc="A script for the managed algorithm's script mode. It is accepted and not used.",
        ),
        Channel(
            name="model",
            content_types=(MODEL_TYPE,),
            default_type=MODEL_TYPE,
            input_modes=("File", "FastFile"),
            doc="An earlier model, as model.tar.gz or xgboost-model: training goes on from it, or updates it with "
            "process_type update. The managed algorithm has no such channel.",
        ),
    ),
    metrics=(
        *(_metric("validation", name) for name in METRICS),
        *(_metric("train", name) for name in ON_TRAIN),
    ),
    payloads=Payloads(
        requests=(media.CSV, media.LIBSVM, media.RECORDIO_PROTOBUF),
        responses=(media.CSV, media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF),
        fields=(
            Field(
                name="score",
                shape="vector",
                doc="The prediction: one number for each row, or one for each class with multi:softprob.",
            ),
            Field(name="predicted_label", optional=True, doc="The most likely class."),
            Field(name="labels", optional=True, shape="vector", doc="The classes, from 0."),
            Field(
                name="probability",
                optional=True,
                doc="Probability of the predicted class, or of class 1 of two.",
            ),
            Field(name="probabilities", optional=True, shape="vector", doc="Probability of each class."),
            Field(name="raw_score", optional=True, doc="What the model returns for the row."),
            Field(
                name="raw_scores",
                optional=True,
                shape="vector",
                doc="What the model returns for each class; of two, 1 minus the score and the score.",
            ),
            Field(name="predicted_score", optional=True, doc="The prediction of a regression."),
            Field(
                name="contributions",
                optional=True,
                shape="vector",
                doc="What each feature adds to the prediction before the link function; for several classes, a list "
                "of that for each class.",
            ),
            Field(
                name="base",
                optional=True,
                doc="What the prediction before the link function begins with: base plus contributions is its value.",
            ),
        ),
        options=(
            Option(
                name="output",
                doc="Comma-separated names of the values that the answer holds, out of predicted_label, labels, "
                "probability, probabilities, raw_score, raw_scores and predicted_score.",
                variable="SAGEMAKER_INFERENCE_OUTPUT",
            ),
            Option(
                name="ensemble",
                doc="With true, the models of a cross-validation answer together (mean, or majority of classes); "
                "otherwise the first one alone.",
                variable="SAGEMAKER_INFERENCE_ENSEMBLE",
            ),
            Option(
                name="contributions",
                doc="With true, the answer also holds what each feature contributes to it.",
                extension=True,
            ),
        ),
        aliases={
            "": media.LIBSVM,
            "csv": media.CSV,
            "libsvm": media.LIBSVM,
            "text/x-libsvm": media.LIBSVM,
            "recordio-protobuf": media.RECORDIO_PROTOBUF,
        },
    ),
    capabilities=Capabilities(
        gpu=True, hosts=True, resumes=True, incremental=True, random=False, supervised=True, missing=True
    ),
    extras=("train", "serve", "xgboost"),
    aliases={"learning_rate": "eta", "min_split_loss": "gamma", "reg_lambda": "lambda", "reg_alpha": "alpha"},
)
