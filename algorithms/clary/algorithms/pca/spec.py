"""What PCA promises: hyperparameters, channels, metrics and payloads."""

from __future__ import annotations

from collections.abc import Iterator

from clary.toolkit import media
from clary.toolkit.parameters import HyperparameterSet, choice, flag, hyperparameters, integer
from clary.toolkit.spec import PROGRESS, THROUGHPUT, AlgorithmSpec, Capabilities, Channel, Field, Metric, Payloads

REGULAR, RANDOMIZED = MODES = ("regular", "randomized")
AUTOMATIC = -1  # what extra_components is where nobody chose it
FEWEST_EXTRA = 10


@hyperparameters
class Hyperparameters(HyperparameterSet):
    """The managed PCA's hyperparameters, names and defaults unchanged."""

    feature_dim: int = integer(at_least=1, required=True, doc="Number of features in each row.")
    num_components: int = integer(
        at_least=1, required=True, doc="Number of principal components to keep; at most feature_dim."
    )
    mini_batch_size: int = integer(at_least=1, required=True, doc="Rows per batch on each host.")
    algorithm_mode: str = choice(
        REGULAR,
        of=MODES,
        old={"stable": REGULAR},
        doc="How the components are found: 'regular' is exact and holds a matrix of feature_dim by feature_dim; "
        "'randomized' is close and holds a narrow sketch of it, for wide data.",
    )
    extra_components: int = integer(
        AUTOMATIC,
        at_least=AUTOMATIC,
        doc="Columns of the sketch beyond num_components; more bring it closer to exact and take more memory, and -1 "
        "stands for max(10, num_components). It has no effect in regular mode.",
    )
    subtract_mean: bool = flag(True, doc="Whether the data are centered, in training and at inference.")

    def problems(self) -> Iterator[str]:
        """There are no more components than features."""
        if self.num_components > self.feature_dim:
            yield (
                f"num_components must be at most feature_dim, which is {self.feature_dim}; got {self.num_components}"
            )

    @property
    def sketch_width(self) -> int:
        """Columns of the sketch of randomized mode, after -1; never more than there are features."""
        automatic = max(FEWEST_EXTRA, self.num_components)
        extra = automatic if self.extra_components == AUTOMATIC else self.extra_components
        return min(self.num_components + extra, self.feature_dim)


_CHANNEL_TYPES = (media.RECORDIO_PROTOBUF, media.CSV)

SPEC = AlgorithmSpec(
    name="pca",
    repository="pca",
    title="PCA",
    class_name="PCA",
    summary="Finds the few directions in which rows differ most, and projects rows onto them.",
    tasks=("dimension reduction",),
    hyperparameters=Hyperparameters,
    channels=(
        Channel(
            name="train",
            required=True,
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Rows to analyse; labels are ignored. CSV without a label column is text/csv;label_size=0.",
        ),
        Channel(
            name="test",
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Rows to score with the final components.",
        ),
    ),
    metrics=(
        Metric(
            "test:explained_variance",
            "Maximize",
            "#quality_metric: host={host}, test explained_variance <score>={value}",
            "Share of the test rows' squared distance to the mean that their projections keep.",
            "where there is a test channel",
        ),
        PROGRESS,
        THROUGHPUT,
    ),
    payloads=Payloads(
        requests=(media.CSV, media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF),
        responses=(media.JSON, media.JSON_LINES, media.CSV, media.RECORDIO_PROTOBUF),
        fields=(
            Field(
                name="projection",
                shape="vector",
                doc="The row along each of the num_components components, from the least to the most significant.",
            ),
        ),
        json_key="projections",
    ),
    capabilities=Capabilities(gpu=True, hosts=True, resumes=True, random=False),
    extras=("train", "serve", "pca"),
    inert={
        "epochs": "the components are exact after one pass, so further passes would change nothing",
        "force_dense": "sparse and dense rows give the same model, so there is nothing to force",
    },
    measured={"feature_dim": "feature_dim", "mini_batch_size": "mini_batch_size"},
)
