"""What k-NN promises: hyperparameters, channels, metrics and payloads."""

from __future__ import annotations

from collections.abc import Iterator

from clary.toolkit import media
from clary.toolkit.parameters import AUTO, Auto, HyperparameterSet, choice, hyperparameters, integer
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

CLASSIFIER, REGRESSOR = PREDICTOR_TYPES = ("classifier", "regressor")
SIGN, FJLT = REDUCTIONS = ("sign", "fjlt")
L2, INNER_PRODUCT, COSINE = METRICS = ("L2", "INNER_PRODUCT", "COSINE")
FLAT, IVF_FLAT, IVF_PQ, HNSW = INDEX_TYPES = ("faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ", "faiss.HNSW")
PARTS = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96)
_CELLS = (IVF_FLAT, IVF_PQ)
# Hyperparameters that act only with one of these index types.
_ACTS_WITH = {
    "faiss_index_ivf_nlists": _CELLS,
    "faiss_index_nprobe": _CELLS,
    "faiss_index_pq_m": (IVF_PQ,),
    "faiss_index_hnsw_m": (HNSW,),
    "faiss_index_hnsw_ef_construction": (HNSW,),
    "faiss_index_hnsw_ef_search": (HNSW,),
}


@hyperparameters
class Hyperparameters(HyperparameterSet):
    """The managed k-NN's hyperparameters, names and defaults unchanged, and those of the extensions behind them."""

    feature_dim: int = integer(at_least=1, required=True, doc="Number of features in each row.")
    k: int = integer(
        at_least=1,
        required=True,
        tunable=(1, 1024),
        scaling="Auto",
        doc="Number of neighbors that vote or are averaged.",
    )
    sample_size: int = integer(
        at_least=1,
        required=True,
        tunable=(256, 20000000),
        doc="Number of training rows kept for the index, over all hosts together; all rows where there are fewer.",
    )
    predictor_type: str = choice(
        of=PREDICTOR_TYPES,
        required=True,
        doc="What the neighbors' labels come to: the most frequent one (classifier), or their mean (regressor).",
    )
    dimension_reduction_target: int | None = integer(
        at_least=1,
        required="when dimension_reduction_type is set",
        doc="Number of dimensions after reduction; less than feature_dim.",
    )
    dimension_reduction_type: str | None = choice(
        of=REDUCTIONS,
        doc="How rows are projected at random to fewer dimensions: by a matrix of +1 and -1 (sign) or by the fast "
        "Johnson-Lindenstrauss transform (fjlt); no reduction where it is not set.",
    )
    faiss_index_ivf_nlists: int | Auto = integer(
        AUTO,
        at_least=1,
        auto=True,
        doc="Number of cells of faiss.IVFFlat and faiss.IVFPQ; 'auto' is the square root of the number of sampled "
        "rows.",
    )
    faiss_index_pq_m: int | None = integer(
        of=PARTS,
        doc="Number of parts into which faiss.IVFPQ cuts a row, a byte for each; the dimension is raised to a "
        "multiple of it. Where it is not set, the largest of its values up to half the dimension.",
    )
    index_metric: str = choice(
        L2,
        of=METRICS,
        doc="What nearest means: by Euclidean distance, inner product, or cosine similarity; faiss.IVFPQ takes L2 "
        "alone.",
    )
    index_type: str = choice(
        FLAT,
        of=INDEX_TYPES,
        doc="Exact search (faiss.Flat), cells of which a few are searched (faiss.IVFFlat), such cells with "
        "compressed rows (faiss.IVFPQ), or, as an extension, a graph of neighbors (faiss.HNSW).",
    )
    mini_batch_size: int = integer(
        5000, at_least=1, doc="Rows read at a time on each host, and test rows searched at a time."
    )
    faiss_index_nprobe: int = integer(
        5,
        at_least=1,
        doc="Cells of faiss.IVFFlat and faiss.IVFPQ that a search visits: more find more true neighbors and take "
        "longer. The managed algorithm has it under the undocumented name _faiss_index_nprobe.",
    )
    faiss_index_hnsw_m: int = integer(
        32, at_least=2, doc="Extension: links of a row in the graph of faiss.HNSW; twice as many on its lowest level."
    )
    faiss_index_hnsw_ef_construction: int = integer(
        80, at_least=1, doc="Extension: candidates that faiss.HNSW keeps in view while it links a row."
    )
    faiss_index_hnsw_ef_search: int = integer(
        64, at_least=1, doc="Extension: candidates that faiss.HNSW keeps in view while it searches; k at least."
    )

    def problems(self) -> Iterator[str]:
        """The sample has k rows and a row for each cell; a reduction reduces; compressed rows have L2 distances."""
        if self.sample_size < self.k:
            yield f"sample_size must be at least k, which is {self.k}; got {self.sample_size}"
        target, width = self.dimension_reduction_target, self.feature_dim
        if self.dimension_reduction_type and target is None:
            yield (
                "no value was given for 'dimension_reduction_target', which must be set when "
                f"dimension_reduction_type is {self.dimension_reduction_type}"
            )
        if self.dimension_reduction_type and target is not None and target >= width:
            yield f"dimension_reduction_target must be less than feature_dim, which is {width}; got {target}"
        if self.compresses and self.index_metric != L2:
            yield f"index_metric must be L2 where index_type is {IVF_PQ}; got {self.index_metric}"
        cells = self.faiss_index_ivf_nlists
        if self.uses_cells and not isinstance(cells, str) and cells > self.sample_size:
            yield f"faiss_index_ivf_nlists must be at most sample_size, which is {self.sample_size}; got {cells}"

    @property
    def uses_cells(self) -> bool:
        """Whether the index has cells, of which a search visits a few."""
        return self.index_type in _CELLS

    @property
    def compresses(self) -> bool:
        """Whether the index holds compressed rows."""
        return self.index_type == IVF_PQ

    def without_effect(self) -> Iterator[str]:
        """A sentence for each hyperparameter that was given and yet changes nothing in this job."""
        for name, types in _ACTS_WITH.items():
            if name in self.given and self.index_type not in types:
                yield f"{name} has no effect with index_type {self.index_type}; it acts with {' and '.join(types)}"
        if self.dimension_reduction_target is not None and not self.dimension_reduction_type:
            yield "dimension_reduction_target has no effect without dimension_reduction_type"


_CHANNEL_TYPES = (media.RECORDIO_PROTOBUF, media.CSV)

SPEC = AlgorithmSpec(
    name="knn",
    repository="knn",
    title="K-nearest neighbors",
    class_name="KNN",
    summary="Labels a row, or predicts a number for it, by the k most similar rows of a sample of the training data.",
    tasks=("classification", "regression"),
    hyperparameters=Hyperparameters,
    channels=(
        Channel(
            name="train",
            required=True,
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Labeled rows to sample and index; in CSV the label is the first column.",
        ),
        Channel(
            name="test",
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Labeled rows to score with the finished index.",
        ),
    ),
    metrics=(
        Metric(
            "test:accuracy",
            "Maximize",
            "#quality_metric: host={host}, test accuracy <score>={value}",
            "Share of the test rows whose predicted label is right.",
            "by a classifier where there is a test channel",
        ),
        Metric(
            "test:mse",
            "Minimize",
            "#quality_metric: host={host}, test mse <loss>={value}",
            "Mean squared difference between the predicted and the true label, in squared units of the label.",
            "by a regressor where there is a test channel",
        ),
        Metric(
            "test:macro_f_1.000",
            "Maximize",
            "#quality_metric: host={host}, test macro_f_1.000 <score>={value}",
            "Mean over the classes from 0 to the largest of their F1 score; not a number where one of them never "
            "occurs.",
            "by a classifier where there is a test channel",
        ),
        PROGRESS,
        THROUGHPUT,
    ),
    payloads=Payloads(
        requests=(media.CSV, media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF),
        responses=(media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF, media.CSV),
        fields=(
            Field(name="predicted_label", doc="The neighbors' most frequent label, or their mean label, as a float."),
            Field(
                name="distances",
                shape="vector",
                optional=True,
                doc="Euclidean distance to each neighbor, nearest first; with the other metrics the similarity.",
            ),
            Field(name="labels", shape="vector", optional=True, doc="Label of each neighbor, in the same order."),
        ),
        options=(
            Option(name="verbose", doc="With true, the answer also holds the distances and labels of the neighbors."),
        ),
    ),
    capabilities=Capabilities(gpu=True, hosts=True, supervised=True),
    extras=("train", "serve", "knn"),
    inert={"epochs": "there is one pass over the data, and no parameter to learn in a second one"},
    aliases={"_faiss_index_nprobe": "faiss_index_nprobe"},
    measured={"feature_dim": "feature_dim"},
)
