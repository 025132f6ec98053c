"""What factorization machines promise: hyperparameters, channels, metrics and payloads."""

from __future__ import annotations

from collections.abc import Iterator

from clary.toolkit import media
from clary.toolkit.parameters import HyperparameterSet, choice, hyperparameters, integer, real
from clary.toolkit.spec import (
    PROGRESS,
    THROUGHPUT,
    AlgorithmSpec,
    Capabilities,
    Channel,
    Field,
    Goal,
    Metric,
    Payloads,
)

BINARY, REGRESSOR = PREDICTOR_TYPES = ("binary_classifier", "regressor")
STARTS = ("uniform", "normal", "constant")
GROUPS = ("bias", "linear", "factors")
PUBLISH_EVERY = 500  # batches between two lines of metrics inside an epoch
_SEARCH = (1e-8, 512.0)
_LOGARITHMIC = "Logarithmic"
# The setting that each way to start reads.
_READS = {"uniform": "scale", "normal": "sigma", "constant": "value"}


@hyperparameters
class Hyperparameters(HyperparameterSet):
    """The managed factorization machines' hyperparameters, names and defaults unchanged."""

    feature_dim: int = integer(at_least=1, required=True, doc="Number of features in each row.")
    num_factors: int = integer(
        at_least=1, required=True, doc="Length of the factor vector of each feature; 64 is a good first choice."
    )
    predictor_type: str = choice(
        of=PREDICTOR_TYPES,
        required=True,
        doc="Kind of label: binary_classifier for 0 and 1, trained on log loss; regressor for a number, trained on "
        "squared loss.",
    )
    bias_init_method: str = choice(
        "normal", of=STARTS, doc="How the bias starts: uniform, normal or constant; each reads a setting of its own."
    )
    bias_init_scale: float | None = real(
        at_least=0,
        tunable=_SEARCH,
        scaling=_LOGARITHMIC,
        doc="Half the width of the uniform start of the bias; 0.01 where it is not set.",
    )
    bias_init_sigma: float = real(
        0.01,
        at_least=0,
        tunable=_SEARCH,
        scaling=_LOGARITHMIC,
        doc="Standard deviation of the normal start of the bias.",
    )
    bias_init_value: float | None = real(
        tunable=_SEARCH, scaling=_LOGARITHMIC, doc="Constant start of the bias; 0 where it is not set."
    )
    bias_lr: float = real(
        0.1, at_least=0, tunable=_SEARCH, scaling=_LOGARITHMIC, doc="Learning rate of the bias under Adam."
    )
    bias_wd: float = real(0.01, at_least=0, tunable=_SEARCH, scaling=_LOGARITHMIC, doc="Weight decay of the bias.")
    clip_gradient: float | None = real(
        doc="Gradients, rescaled and with their weight decay, are cut to this size in both directions; not set, or "
        "not above 0, they are not cut."
    )
    epochs: int = integer(1, at_least=1, tunable=(1, 1000), doc="Passes over the training data.")
    eps: float | None = real(
        doc="What Adam adds to its denominator against a division by zero, above 0; 1e-8 where it is not set."
    )
    factors_init_method: str = choice(
        "normal",
        of=STARTS,
        doc="How the factors start: uniform, normal or constant; each reads a setting of its own.",
    )
    factors_init_scale: float | None = real(
        at_least=0,
        tunable=_SEARCH,
        scaling=_LOGARITHMIC,
        doc="Half the width of the uniform start of the factors; 0.001 where it is not set.",
    )
    factors_init_sigma: float = real(
        0.001,
        at_least=0,
        tunable=_SEARCH,
        scaling=_LOGARITHMIC,
        doc="Standard deviation of the normal start of the factors.",
    )
    factors_init_value: float | None = real(
        tunable=_SEARCH,
        scaling=_LOGARITHMIC,
        doc="Constant start of the factors; 0 where it is not set. Factors that start alike stay alike.",
    )
    factors_lr: float = real(
        0.0001, at_least=0, tunable=_SEARCH, scaling=_LOGARITHMIC, doc="Learning rate of the factors under Adam."
    )
    factors_wd: float = real(
        0.00001, at_least=0, tunable=_SEARCH, scaling=_LOGARITHMIC, doc="Weight decay of the factors."
    )
    linear_lr: float = real(
        0.001, at_least=0, tunable=_SEARCH, scaling=_LOGARITHMIC, doc="Learning rate of the linear terms under Adam."
    )
    linear_init_method: str = choice(
        "normal",
        of=STARTS,
        doc="How the linear terms start: uniform, normal or constant; each reads a setting of its own.",
    )
    linear_init_scale: float | None = real(
        at_least=0,
        tunable=_SEARCH,
        scaling=_LOGARITHMIC,
        doc="Half the width of the uniform start of the linear terms; 0.01 where it is not set.",
    )
    linear_init_sigma: float = real(
        0.01,
        at_least=0,
        tunable=_SEARCH,
        scaling=_LOGARITHMIC,
        doc="Standard deviation of the normal start of the linear terms.",
    )
    linear_init_value: float | None = real(
        tunable=_SEARCH, scaling=_LOGARITHMIC, doc="Constant start of the linear terms; 0 where it is not set."
    )
    linear_wd: float = real(
        0.001, at_least=0, tunable=_SEARCH, scaling=_LOGARITHMIC, doc="Weight decay of the linear terms."
    )
    mini_batch_size: int = integer(1000, at_least=1, tunable=(100, 10000), doc="Rows per update on each host.")
    rescale_grad: float | None = real(
        doc="What the gradient, summed over the rows of an update, is multiplied with; not set, it is 1 / rows."
    )

    def problems(self) -> Iterator[str]:
        """The denominator of Adam must not become zero."""
        if self.eps is not None and self.eps <= 0:
            yield f"eps must be above 0, because it keeps Adam from dividing by zero; got {self.eps}"

    def start(self, group: str) -> tuple[str, float]:
        """How the parameters of that group start: the method, and the scale, sigma or value that it reads."""
        method = getattr(self, f"{group}_init_method")
        given = getattr(self, self.start_setting(group))
        if given is None:
            given = 0.0 if method == "constant" else self.parameters()[f"{group}_init_sigma"].default
        return method, float(given)

    def start_setting(self, group: str) -> str:
        """The name of the hyperparameter that the group's way to start reads."""
        return f"{group}_init_{_READS[getattr(self, f'{group}_init_method')]}"

    def without_effect(self) -> Iterator[str]:
        """A sentence for each hyperparameter that the job sets and that yet changes nothing in it."""
        for group in GROUPS:
            method = getattr(self, f"{group}_init_method")
            for other, setting in _READS.items():
                name = f"{group}_init_{setting}"
                if other != method and name in self.given and getattr(self, name) != self.parameters()[name].default:
                    yield f"{name} has no effect with {group}_init_method {method}; it acts with {other}"
        if self.clip_gradient is not None and self.clip_gradient <= 0:
            yield f"clip_gradient {self.clip_gradient} cuts nothing; gradients are cut with a value above 0"


# Goal, what stands in the line, predictor type, meaning.
_SCORES: dict[str, tuple[Goal, str, str, str]] = {
    "rmse": ("Minimize", "rmse <loss>", REGRESSOR, "Root of the mean squared error"),
    "mse": ("Minimize", "mse <loss>", REGRESSOR, "Mean squared error"),
    "absolute_loss": ("Minimize", "absolute_loss <loss>", REGRESSOR, "Mean absolute error"),
    "binary_classification_accuracy": (
        "Maximize",
        "binary_classification_accuracy <score>",
        BINARY,
        "Share of rows labeled right at a probability of 0.5",
    ),
    "binary_classification_cross_entropy": (
        "Minimize",
        "binary_classification_cross_entropy <loss>",
        BINARY,
        "Mean log loss",
    ),
    "binary_f_beta": ("Maximize", "binary_f_1.000 <score>", BINARY, "F1 score at a probability of 0.5"),
}
_EPOCH = "epoch={epoch}, "
# For each level: the end of the name, the start of the line, the rows, when it is reported.
_LEVELS = (
    ("", "", "the last epoch, each batch before its update", "once at the end"),
    (":epoch", _EPOCH, "an epoch, each batch before its update", "after every epoch"),
    (
        ":batch",
        "epoch={epoch}, batch={batch} ",
        "an epoch so far, each batch before its update",
        f"at batch 0 and every {PUBLISH_EVERY} batches",
    ),
)


def _metrics() -> Iterator[Metric]:
    for name, (goal, words, predictor_type, meaning) in _SCORES.items():
        line = f"#quality_metric: host={{host}}, test {words}={{value}}"
        when = f"once at the end, where there is a test channel and predictor_type is {predictor_type}"
        yield Metric(f"test:{name}", goal, line, f"{meaning}, over the test rows.", when)
    for end, start, rows, moment in _LEVELS:
        for name, (goal, words, predictor_type, meaning) in _SCORES.items():
            line = f"#quality_metric: host={{host}}, {start}train {words}={{value}}"
            when = f"{moment}, where predictor_type is {predictor_type}"
            yield Metric(f"train:{name}{end}", goal, line, f"{meaning}, over the training rows of {rows}.", when)


_CHANNEL_TYPES = (media.RECORDIO_PROTOBUF, media.LIBSVM)

SPEC = AlgorithmSpec(
    name="factorization_machines",
    repository="factorization-machines",
    title="Factorization machines",
    class_name="FactorizationMachines",
    summary="Learns a classifier or regressor with an effect of every pair of features, from sparse rows.",
    tasks=("binary classification", "regression"),
    hyperparameters=Hyperparameters,
    channels=(
        Channel(
            name="train",
            required=True,
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Rows to learn from, usually sparse, each with one label: 0 or 1, or a number.",
        ),
        Channel(
            name="test",
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Rows that are scored once with the final model.",
        ),
    ),
    metrics=(*_metrics(), PROGRESS, THROUGHPUT),
    payloads=Payloads(
        requests=(media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF, media.LIBSVM),
        responses=(media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF),
        fields=(
            Field(name="score", doc="The predicted number, or the probability of class 1."),
            Field(
                name="predicted_label",
                doc="For a binary classifier 1 where the score is at least 0.5, otherwise 0.",
                optional=True,
            ),
        ),
    ),
    capabilities=Capabilities(gpu=True, hosts=True, resumes=True, supervised=True),
    extras=("train", "serve", "factorization_machines"),
    measured={"feature_dim": "feature_dim"},
)
