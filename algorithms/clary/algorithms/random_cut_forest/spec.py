"""What the random cut forest promises: hyperparameters, channels, metrics and payloads."""

from __future__ import annotations

from collections.abc import Iterator

from clary.toolkit import media
from clary.toolkit.parameters import HyperparameterSet, hyperparameters, integer, names
from clary.toolkit.spec import THROUGHPUT, AlgorithmSpec, Capabilities, Channel, Field, Metric, Option, Payloads


@hyperparameters
class Hyperparameters(HyperparameterSet):
    """The managed random cut forest's hyperparameters, names and defaults unchanged."""

    feature_dim: int = integer(at_least=1, at_most=10000, required=True, doc="Number of features in each row.")
    eval_metrics: tuple[str, ...] = names(
        ("accuracy", "precision_recall_fscore"),
        of=("accuracy", "precision_recall_fscore"),
        doc="Scores reported for a labeled test channel: the share of rows called right (accuracy), and precision, "
        "recall and F1 of the anomalies and of the normal rows (precision_recall_fscore).",
    )
    num_samples_per_tree: int = integer(
        256,
        at_least=1,
        at_most=2048,
        tunable=(1, 2048),
        scaling="Auto",
        doc="Rows given to each tree; 1 / num_samples_per_tree should be about the share of anomalies.",
    )
    num_trees: int = integer(
        100, at_least=50, at_most=1000, tunable=(50, 1000), scaling="Auto", doc="Number of trees in the forest."
    )

    def problems(self) -> Iterator[str]:
        """The random cut forest has no rule that spans several hyperparameters."""
        yield from ()


_CHANNEL_TYPES = (media.RECORDIO_PROTOBUF, media.CSV)
_ROWS = (
    "of the rows labeled 1, called anomalies where their score is more than three standard deviations above the mean"
)


def _score(name: str, doc: str, metric: str) -> Metric:
    return Metric(
        f"test:{name}",
        "Maximize",
        f"#quality_metric: host={{host}}, test {name} <score>={{value}}",
        doc,
        f"once at the end, where there is a test channel and eval_metrics has {metric}",
    )


_SCORES = "precision_recall_fscore"

SPEC = AlgorithmSpec(
    name="random_cut_forest",
    repository="randomcutforest",
    title="Random cut forest",
    class_name="RandomCutForest",
    summary="Scores how anomalous each row is, by how soon random cuts part it from a sample of the others.",
    tasks=("anomaly detection",),
    hyperparameters=Hyperparameters,
    channels=(
        Channel(
            name="train",
            required=True,
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Rows to sample from; labels are ignored. CSV without a label column is text/csv;label_size=0.",
        ),
        Channel(
            name="test",
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            labeled=True,
            doc="Rows to score with the forest, each labeled 1 for an anomaly or 0 for a normal row.",
        ),
    ),
    metrics=(
        _score("f1", f"F1, the harmonic mean of precision and recall, {_ROWS}.", _SCORES),
        _score("precision", "Share of anomalies among the test rows that are called anomalies.", _SCORES),
        _score("recall", "Share of the anomalies among the test rows that are called anomalies.", _SCORES),
        _score("normal_f1", "F1 of the rows labeled 0.", _SCORES),
        _score("normal_precision", "Share of normal rows among the test rows that are called normal.", _SCORES),
        _score("normal_recall", "Share of the normal rows among the test rows that are called normal.", _SCORES),
        _score("accuracy", "Share of the test rows that are called what they are labeled.", "accuracy"),
        Metric(
            "train:progress",
            "Maximize",
            "#progress_metric: host={host}, completed {value} % epochs",
            "Share of the one pass over the rows that is completed, in percent.",
            "before and after the pass",
        ),
        THROUGHPUT,
    ),
    payloads=Payloads(
        requests=(media.CSV, media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF),
        responses=(media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF),
        fields=(
            Field(
                name="score", doc="Anomaly score: about 1 for ordinary rows, higher for anomalies, without a limit."
            ),
            Field(
                name="base",
                optional=True,
                doc="Part of the score that no feature adds: from trees whose sample holds the very same row.",
            ),
            Field(
                name="contributions",
                shape="vector",
                optional=True,
                doc="What each feature adds to the score; with base they add up to it.",
            ),
        ),
        json_key="scores",
        options=(
            Option(
                name="contributions",
                doc="Whether each answer says what every feature adds to the score, true or false.",
                extension=True,
            ),
        ),
    ),
    capabilities=Capabilities(hosts=True, resumes=True),
    extras=("train", "serve", "random_cut_forest"),
    inert={
        "mini_batch_size": "rows are sampled one by one, so batches change nothing",
        "epochs": "one pass over the rows is all that sampling needs",
        "force_dense": "sparse and dense rows give the same model, so there is nothing to force",
    },
    measured={"feature_dim": "feature_dim"},
)
