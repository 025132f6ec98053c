"""What k-means promises: hyperparameters, channels, metrics and payloads."""

from __future__ import annotations

from collections.abc import Iterator

from clary.toolkit import media
from clary.toolkit.parameters import AUTO, Auto, HyperparameterSet, choice, hyperparameters, integer, names, real
from clary.toolkit.spec import PROGRESS, THROUGHPUT, AlgorithmSpec, Capabilities, Channel, Field, Metric, Payloads

STARTS = ("random", "kmeans++")


@hyperparameters
class Hyperparameters(HyperparameterSet):
    """The managed k-means' hyperparameters, names and defaults unchanged."""

    feature_dim: int = integer(at_least=1, required=True, doc="Number of features in each row.")
    k: int = integer(at_least=1, required=True, doc="Number of clusters of the final model.")
    epochs: int = integer(1, at_least=1, tunable=(1, 10), doc="Passes over the training data.")
    eval_metrics: tuple[str, ...] = names(
        ("msd",),
        of=("msd", "ssd"),
        doc="Metrics reported for the test channel: mean (msd) and sum (ssd) of squared distances.",
    )
    extra_center_factor: int | Auto = integer(
        AUTO,
        at_least=1,
        auto=True,
        tunable=(4, 10),
        scaling="Auto",
        doc="The streaming phase keeps k times this many centers and merges them to k at the end; 'auto' is 10 "
        "for up to ten clusters, up to 100 for about 25, and again 10 from 250 on.",
    )
    half_life_time_size: int = integer(
        0, at_least=0, doc="Points after which an observation counts half in its center; 0 means no decay."
    )
    init_method: str = choice(
        "random",
        of=STARTS,
        tunable=("kmeans++", "random"),
        doc="How the starting centers are picked from the first batch.",
    )
    local_lloyd_init_method: str = choice(
        "kmeans++", of=STARTS, doc="How each final Lloyd run over the streamed centers starts."
    )
    local_lloyd_max_iter: int = integer(300, at_least=1, doc="Iteration limit of each final Lloyd run.")
    local_lloyd_num_trials: int | Auto = integer(
        AUTO,
        at_least=1,
        auto=True,
        doc="Final Lloyd runs, of which the one with the lowest loss is kept; 'auto' is 10.",
    )
    local_lloyd_tol: float = real(
        0.0001, at_least=0, at_most=1, doc="Relative change in loss at which a Lloyd run stops."
    )
    mini_batch_size: int = integer(5000, at_least=1, tunable=(3000, 15000), doc="Rows per batch on each host.")

    def problems(self) -> Iterator[str]:
        """K-means has no rule that spans several hyperparameters."""
        yield from ()


_CHANNEL_TYPES = (media.RECORDIO_PROTOBUF, media.CSV)

SPEC = AlgorithmSpec(
    name="kmeans",
    repository="kmeans",
    title="K-means",
    class_name="KMeans",
    summary="Groups rows into k clusters in one streaming pass over data of any size.",
    tasks=("clustering",),
    hyperparameters=Hyperparameters,
    channels=(
        Channel(
            name="train",
            required=True,
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Rows to cluster; labels are ignored. CSV without a label column is text/csv;label_size=0.",
        ),
        Channel(
            name="test",
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Rows to score with the final centers.",
        ),
    ),
    metrics=(
        Metric(
            "test:msd",
            "Minimize",
            "#quality_metric: host={host}, test msd <loss>={value}",
            "Mean over the test rows of the squared distance to the nearest final center.",
        ),
        Metric(
            "test:ssd",
            "Minimize",
            "#quality_metric: host={host}, test ssd <loss>={value}",
            "Sum over the test rows of the squared distance to the nearest final center.",
        ),
        Metric(
            "train:msd",
            "Minimize",
            "#quality_metric: host={host}, train msd <loss>={value}",
            "Loss of the best final Lloyd run: over the streamed centers, weighted by their counts.",
        ),
        PROGRESS,
        THROUGHPUT,
    ),
    payloads=Payloads(
        requests=(media.CSV, media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF),
        responses=(media.JSON, media.JSON_LINES, media.CSV, media.RECORDIO_PROTOBUF),
        fields=(
            Field(name="closest_cluster", doc="Zero-based index of the nearest center, as a float."),
            Field(name="distance_to_cluster", doc="Euclidean distance to that center."),
        ),
    ),
    capabilities=Capabilities(hosts=True, resumes=True),
    extras=("train", "serve"),
    inert={"force_dense": "sparse and dense rows give the same model, so there is nothing to force"},
    measured={"feature_dim": "feature_dim"},
)
