"""What DeepAR promises: hyperparameters, channels, metrics and payloads."""

from __future__ import annotations

import json
from collections.abc import Iterator

from clary.toolkit import media
from clary.toolkit.parameters import (
    AUTO,
    Auto,
    HyperparameterSet,
    choice,
    hyperparameters,
    integer,
    numbers,
    real,
    text,
)
from clary.toolkit.spec import (
    PROGRESS,
    THROUGHPUT,
    AlgorithmSpec,
    Capabilities,
    Channel,
    Field,
    Metric,
    Option,
    Payloads,
)

GAUSSIAN, BETA, NEGATIVE_BINOMIAL, STUDENT_T, DETERMINISTIC = LIKELIHOODS = (
    "gaussian",
    "beta",
    "negative-binomial",
    "student-T",
    "deterministic-L1",
)
IGNORE = "ignore"
MEAN, QUANTILES, SAMPLES = OUTPUT_TYPES = ("mean", "quantiles", "samples")
CONFIGURATION, FORWARDED = "configuration", "forwarded_fields"
LEVELS = tuple(number / 10 for number in range(1, 10))
_LOGARITHMIC = "Logarithmic"
# As the guide has it, and quarters, years and seconds beside it.
_FREQUENCY = r"([1-9][0-9]*)?(M|W|D|H|min|Q|Y|S)"
_CARDINALITY = r"auto|ignore|\[\s*[1-9][0-9]*\s*(,\s*[1-9][0-9]*\s*)*\]"


@hyperparameters
class Hyperparameters(HyperparameterSet):
    """The managed DeepAR's hyperparameters, names and defaults unchanged."""

    context_length: int = integer(
        at_least=1,
        required=True,
        tunable=(1, 200),
        doc="Time points that the network sees before the forecast begins; lags reach further back, so about "
        "prediction_length is enough.",
    )
    epochs: int = integer(at_least=1, required=True, tunable=(1, 1000), doc="Most passes over the training data.")
    prediction_length: int = integer(
        at_least=1, required=True, doc="Time steps to forecast, fixed at training; above 400 is discouraged."
    )
    time_freq: str = text(
        pattern=_FREQUENCY,
        wording="a number, which may be left out, and one of M, W, D, H, min, Q, Y and S, such as '5min' or 'D'",
        required=True,
        doc="Time between two points of a series, which also chooses time features and lags: M, W, D, H or min "
        "behind a number that may be left out; as an extension also Q (quarters), Y (years) and S (seconds).",
    )
    cardinality: str = text(
        AUTO,
        pattern=_CARDINALITY,
        wording="a JSON list of integers of at least 1, such as [3, 20], or 'ignore'",
        words=(IGNORE,),
        auto=True,
        blank=IGNORE,
        doc="Number of values of each categorical feature; auto reads it from the data; ignore or the empty string "
        "leaves cat out.",
    )
    dropout_rate: float = real(
        0.1,
        at_least=0,
        at_most=1,
        tunable=(0.0, 0.2),
        doc="Zoneout rate: the share of hidden units that keep their previous value at a step of training.",
    )
    early_stopping_patience: int | None = integer(
        at_least=1,
        doc="Epochs without a lower training loss until training stops and the best model is taken; without it the "
        "last epoch counts.",
    )
    embedding_dimension: int = integer(
        10, at_least=1, tunable=(1, 50), doc="Length of the embedding of each categorical feature."
    )
    learning_rate: float = real(
        0.001, above=0, tunable=(1e-5, 0.1), scaling=_LOGARITHMIC, doc="Step size of the optimizer."
    )
    likelihood: str = choice(
        STUDENT_T,
        of=LIKELIHOODS,
        old={spelled: name for name in LIKELIHOODS for spelled in (name.lower(), name.upper(), name.title())},
        doc="Noise of the targets: gaussian for real data, beta for targets between 0 and 1, negative-binomial for "
        "counts, student-T for bursty real data, deterministic-L1 for a point forecast. Capitals do not matter.",
    )
    mini_batch_size: int = integer(
        128, at_least=1, tunable=(32, 1028), doc="Training windows in a batch, those of all hosts together."
    )
    num_cells: int = integer(40, at_least=1, tunable=(30, 200), doc="Cells in each hidden layer.")
    num_dynamic_feat: int | str = integer(
        AUTO,
        at_least=1,
        auto=True,
        words=(IGNORE,),
        blank=IGNORE,
        doc="Number of dynamic features; auto reads it from the data; ignore or the empty string leaves dynamic_feat "
        "out.",
    )
    num_eval_samples: int = integer(
        100, at_least=1, doc="Sample paths for each series when the test channel is scored; the model is the same."
    )
    num_layers: int = integer(2, at_least=1, tunable=(1, 8), doc="Hidden recurrent layers.")
    test_quantiles: tuple[float, ...] = numbers(
        LEVELS,
        at_least=0,
        at_most=1,
        doc="Quantile levels between 0 and 1 for the quantile loss on the test channel.",
    )

    def problems(self) -> Iterator[str]:
        """What one hyperparameter alone cannot tell."""
        if not self.test_quantiles or not all(0 < level < 1 for level in self.test_quantiles):
            yield f"test_quantiles must hold levels above 0 and below 1; got {json.dumps(list(self.test_quantiles))}"

    def cardinalities(self) -> tuple[int, ...] | Auto | None:
        """The number of values of each categorical feature, ``auto``, or None where cat is left out."""
        if self.cardinality == AUTO:
            return AUTO
        return None if self.cardinality == IGNORE else tuple(json.loads(self.cardinality))


_SERIES_TYPES = (media.JSON_LINES, "json", "json.gz", "parquet")


def _quality(name: str, line: str, doc: str, when: str) -> Metric:
    return Metric(name, "Minimize", f"#quality_metric: host={{host}}, {line} <loss>={{value}}", doc, when)


SPEC = AlgorithmSpec(
    name="deepar",
    repository="forecasting-deepar",
    title="DeepAR",
    class_name="DeepAR",
    summary="Forecasts many related time series with one recurrent network, as samples, quantiles and means.",
    tasks=("probabilistic forecasting",),
    hyperparameters=Hyperparameters,
    channels=(
        Channel(
            name="train",
            required=True,
            content_types=_SERIES_TYPES,
            default_type=media.JSON_LINES,
            input_modes=("File", "FastFile"),
            doc="Time series, one JSON object per line or one Parquet row each: start, target, and cat and "
            "dynamic_feat where there are some. The extension .json, .jsonl, .json.gz or .parquet tells a file's "
            "format; without one the content type does.",
        ),
        Channel(
            name="test",
            content_types=_SERIES_TYPES,
            default_type=media.JSON_LINES,
            input_modes=("File", "FastFile"),
            doc="Series in the same form, of which the last prediction_length points are withheld, forecast and "
            "scored; a series may come several times with different ends.",
        ),
    ),
    metrics=(
        _quality(
            "test:RMSE",
            "test RMSE",
            "Root of the mean squared difference of mean forecast and target over all withheld points.",
            "with a test channel, after training",
        ),
        _quality(
            "test:mean_wQuantileLoss",
            "test mean_wQuantileLoss",
            "Mean over test_quantiles of the quantile loss, weighted by the sum of the absolute targets.",
            "with a test channel, after training",
        ),
        _quality(
            "train:final_loss",
            "train final_loss",
            "Negative log likelihood of the last epoch, or of the best one with early stopping.",
            "after training",
        ),
        Metric(
            "train:loss:batch",
            "Minimize",
            "#quality_metric: host={host}, epoch={epoch}, batch={batch} train loss <loss>={value}",
            "Running mean of the loss since the epoch began.",
            "at every fifth batch of an epoch",
        ),
        Metric(
            "train:loss",
            "Minimize",
            "#quality_metric: host={host}, epoch={epoch}, train loss <loss>={value}",
            "Mean training loss of the epoch.",
            "after every epoch",
        ),
        PROGRESS,
        THROUGHPUT,
    ),
    payloads=Payloads(
        requests=(media.JSON, media.JSON_LINES),
        responses=(media.JSON, media.JSON_LINES),
        fields=(
            Field(name=MEAN, shape="vector", optional=True, doc="Mean of the samples at each step of the forecast."),
            Field(
                name=QUANTILES,
                shape="object",
                optional=True,
                doc="For each level, as the request writes it, the quantile of the samples at each step.",
            ),
            Field(name=SAMPLES, shape="vector", optional=True, doc="The sample paths, one list of steps each."),
        ),
        options=(
            Option(
                name=CONFIGURATION,
                variable="DEEPAR_INFERENCE_CONFIG",
                doc="JSON object with num_samples, output_types and quantiles, for every series whose request has no "
                "configuration of its own; in a batch transform it holds for the whole job.",
            ),
            Option(
                name=FORWARDED,
                variable="DEEPAR_FORWARDED_FIELDS",
                doc="JSON list of names of fields that are copied from an input line into its output line; null "
                "where the line lacks one.",
            ),
        ),
    ),
    capabilities=Capabilities(gpu=True, hosts=True, resumes=True, missing=True),
    extras=("train", "serve", "deepar"),
)
