"""What LDA promises: hyperparameters, channels, metrics and payloads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from clary.toolkit import media
from clary.toolkit.parameters import HyperparameterSet, hyperparameters, integer, real
from clary.toolkit.spec import THROUGHPUT, AlgorithmSpec, Capabilities, Channel, Field, Metric, Payloads

_SMALLEST, _LARGEST = 1e-6, 1e6  # of alpha0, so that the prior and the counts of words can be added in float32


@hyperparameters
class Hyperparameters(HyperparameterSet):
    """The managed LDA's hyperparameters, names and defaults unchanged."""

    num_topics: int = integer(
        at_least=1,
        required=True,
        tunable=(1, 150),
        scaling="Auto",
        doc="Number of topics to return; at most feature_dim.",
    )
    feature_dim: int = integer(
        at_least=1, required=True, doc="Size of the vocabulary, which is the width of a document."
    )
    mini_batch_size: int = integer(
        at_least=1,
        required=True,
        doc="Number of documents in the training corpus. All documents are learned from at once, whatever it says.",
    )
    alpha0: float = real(
        1.0,
        above=0,
        tunable=(0.1, 10),
        scaling="Auto",
        doc="Sum of the Dirichlet prior over topics: small values make documents of few topics, values above 1 even "
        "mixtures.",
    )
    max_restarts: int = integer(
        10, at_least=1, doc="Starts of the tensor decomposition, of which the one with the smallest error counts."
    )
    max_iterations: int = integer(1000, at_least=1, doc="Iterations allowed in each restart.")
    tol: float = real(
        1e-8, above=0, doc="A restart ends where the error of an iteration differs from the last by less than this."
    )

    def problems(self) -> Iterator[str]:
        """There are no more topics than words, and the prior can be added to counts."""
        if self.num_topics > self.feature_dim:
            yield f"num_topics must be at most feature_dim, which is {self.feature_dim}; got {self.num_topics}"
        if not _SMALLEST <= self.alpha0 <= _LARGEST:
            yield (
                f"alpha0 must be between {_SMALLEST:g} and {_LARGEST:g}, or nothing is left of it or of the words "
                f"beside it; got {self.alpha0:g}"
            )

    @property
    def fitted(self) -> int:
        """How many topics are looked for, to return the num_topics of largest prior."""
        return min(math.ceil(1.25 * self.num_topics), self.feature_dim)


_CHANNEL_TYPES = (media.RECORDIO_PROTOBUF, media.CSV)

SPEC = AlgorithmSpec(
    name="lda",
    repository="lda",
    title="LDA",
    class_name="LDA",
    summary="Finds the topics that documents mix, from how often words stand together in them.",
    tasks=("topic modelling",),
    hyperparameters=Hyperparameters,
    channels=(
        Channel(
            name="train",
            required=True,
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Documents to learn from: how often each word of the vocabulary stands in them. CSV has no label "
            "column, text/csv;label_size=0.",
        ),
        Channel(
            name="test",
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Documents that are scored once with the final topics.",
        ),
    ),
    metrics=(
        Metric(
            "test:pwll",
            "Maximize",
            "#quality_metric: host={host}, test pwll <score>={value}",
            "Lower bound of the log-likelihood of the test documents, divided by the number of their words.",
            "once at the end, where there is a test channel",
        ),
        Metric(
            "train:progress",
            "Maximize",
            "#progress_metric: host={host}, completed {value} % of epochs",
            "Share of the work completed, in percent.",
            "after every restart and every pass over the documents",
        ),
        replace(
            THROUGHPUT,
            doc="Training speed of the whole job, documents read until topics found.",
            when="once at the end",
        ),
    ),
    payloads=Payloads(
        requests=(media.CSV, media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF),
        responses=(media.JSON, media.JSON_LINES, media.CSV, media.RECORDIO_PROTOBUF),
        fields=(
            Field(
                name="topic_mixture",
                shape="vector",
                doc="Share of each of the num_topics topics in the document; the shares sum up to 1.",
            ),
        ),
    ),
    capabilities=Capabilities(resumes=True),
    extras=("train", "serve", "lda"),
    inert={
        "epochs": "all documents are held in memory, and the method itself decides how often it goes through them",
        "allow_svd_init": "the first two restarts always start from a singular value decomposition",
    },
    measured={"feature_dim": "feature_dim", "mini_batch_size": "mini_batch_size"},
)
