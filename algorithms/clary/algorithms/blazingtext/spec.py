"""What BlazingText promises: hyperparameters, channels, metrics and payloads."""

from __future__ import annotations

from collections.abc import Iterator

from clary.toolkit import media
from clary.toolkit.parameters import HyperparameterSet, choice, flag, hyperparameters, integer, real
from clary.toolkit.spec import PROGRESS, AlgorithmSpec, Capabilities, Channel, Field, Metric, Payloads

BATCH_SKIPGRAM, SKIPGRAM, CBOW, SUPERVISED = MODES = ("batch_skipgram", "skipgram", "cbow", "supervised")
WORD2VEC = (BATCH_SKIPGRAM, SKIPGRAM, CBOW)
LABEL_PREFIX = "__label__"
_LOGARITHMIC = "Logarithmic"


@hyperparameters
class Hyperparameters(HyperparameterSet):
    """The managed BlazingText's hyperparameters, names and defaults unchanged."""

    mode: str = choice(
        of=MODES,
        required=True,
        tunable=WORD2VEC,
        doc="What is learned: word vectors by batch_skipgram, skipgram or cbow, or a classifier by supervised.",
    )
    batch_size: int = integer(
        11,
        at_least=1,
        tunable=(8, 32),
        doc="With batch_skipgram, most words around a word that share its drawn negatives; 2 * window_size + 1 lets "
        "the whole window share them.",
    )
    buckets: int = integer(
        2_000_000,
        at_least=1,
        tunable=(1_000_000, 10_000_000),
        doc="Number of rows that hashed n-grams share: those of characters with subwords, those of words with "
        "supervised.",
    )
    early_stopping: bool = flag(
        False,
        doc="With supervised, whether to stop when the validation accuracy has not improved for patience epochs; "
        "needs a validation channel.",
    )
    epochs: int = integer(
        5, at_least=1, tunable=(5, 15), doc="Passes over the training data, with early_stopping at most."
    )
    evaluation: bool = flag(
        True,
        doc="With the modes of word vectors, whether to compare them with human judgment on the WordSimilarity-353 "
        "sets after training.",
    )
    learning_rate: float = real(
        0.05,
        above=0,
        tunable=(0.005, 0.01),
        scaling=_LOGARITHMIC,
        doc="Step size at the start; it falls to zero in a straight line over all epochs.",
    )
    max_char: int = integer(6, at_least=1, doc="With subwords, characters of the longest n-gram.")
    min_char: int = integer(3, at_least=1, doc="With subwords, characters of the shortest n-gram.")
    min_count: int = integer(
        5, at_least=0, tunable=(0, 100), doc="Words that occur fewer times than this are left out."
    )
    min_epochs: int = integer(
        5, at_least=1, doc="With early_stopping, the epoch behind which the first validation comes."
    )
    negative_samples: int = integer(
        5,
        at_least=1,
        tunable=(5, 25),
        doc="With the modes of word vectors, words drawn against each true one.",
    )
    patience: int = integer(
        4, at_least=1, doc="With early_stopping, epochs without a better validation accuracy until training stops."
    )
    sampling_threshold: float = real(
        0.0001,
        above=0,
        tunable=(0.0001, 0.001),
        doc="With the modes of word vectors, the share of all words above which a word is left out at random.",
    )
    subwords: bool = flag(
        False,
        doc="With skipgram and cbow, whether to learn vectors of character n-grams too, so that words that were "
        "never seen have vectors.",
    )
    vector_dim: int = integer(
        100, at_least=1, tunable=(32, 300), doc="Length of the vectors of words, n-grams and texts."
    )
    window_size: int = integer(
        5,
        at_least=1,
        tunable=(1, 10),
        doc="With the modes of word vectors, most words on each side that count as a word's context.",
    )
    word_ngrams: int = integer(
        2, at_least=1, tunable=(1, 3), doc="With supervised, words of the longest n-gram of words."
    )

    def problems(self) -> Iterator[str]:
        """What one hyperparameter alone cannot tell."""
        if self.mode == BATCH_SKIPGRAM and self.subwords:
            yield f"subwords works with mode {SKIPGRAM} or {CBOW}; got mode {BATCH_SKIPGRAM}"
        if self.with_subwords and self.min_char > self.max_char:
            yield f"min_char must be at most max_char; got {self.min_char} and {self.max_char}"

    @property
    def supervised(self) -> bool:
        """Whether a classifier is trained."""
        return self.mode == SUPERVISED

    @property
    def with_subwords(self) -> bool:
        """Whether words have vectors of character n-grams."""
        return self.subwords and self.mode in (SKIPGRAM, CBOW)


_TYPES = (media.TEXT, media.JSON_LINES)
_SUPERVISED_ONLY = "with mode supervised"

SPEC = AlgorithmSpec(
    name="blazingtext",
    repository="blazingtext",
    title="BlazingText",
    class_name="BlazingText",
    summary="Learns vectors of words from plain text, or a fast classifier of text from labeled lines.",
    tasks=("word embeddings (word2vec)", "text classification (multi-class, multi-label)"),
    hyperparameters=Hyperparameters,
    channels=(
        Channel(
            name="train",
            required=True,
            content_types=_TYPES,
            default_type=media.TEXT,
            input_modes=("File", "Pipe", "FastFile"),
            doc="Text with a sentence on each line and blanks between its tokens; with supervised, tokens that begin "
            "with __label__ are its labels. JSON Lines hold source and label instead, as an augmented manifest does.",
        ),
        Channel(
            name="validation",
            content_types=_TYPES,
            default_type=media.TEXT,
            input_modes=("File", "Pipe", "FastFile"),
            doc="Labeled lines in the same form, for the validation accuracy and early_stopping of supervised.",
        ),
    ),
    metrics=(
        Metric(
            "train:mean_rho",
            "Maximize",
            "#mean_rho: {value}",
            "Mean of the rank correlations of cosine and human judgment on the three WordSimilarity-353 sets.",
            "after training of word vectors where evaluation is true",
        ),
        Metric(
            "validation:accuracy",
            "Maximize",
            "#validation_accuracy: {value}",
            "Share of the validation lines whose best label is one of their own.",
            f"after training {_SUPERVISED_ONLY} and a validation channel",
        ),
        Metric(
            "train:accuracy",
            "Maximize",
            "#train_accuracy: {value}",
            "Share of the training lines whose best label is one of their own.",
            f"after training {_SUPERVISED_ONLY}",
        ),
        PROGRESS,
        Metric(
            "train:throughput",
            "Maximize",
            "#throughput_metric: host={host}, train throughput={value} words/second",
            "Words of an epoch learned from in a second, all hosts together.",
            "after every epoch",
        ),
    ),
    payloads=Payloads(
        requests=(media.JSON, media.JSON_LINES),
        responses=(media.JSON, media.JSON_LINES),
        fields=(
            Field(name="vector", shape="vector", optional=True, doc="The vector of a word."),
            Field(name="word", optional=True, doc="The word as it was sent."),
            Field(name="prob", shape="vector", optional=True, doc="Probabilities of the best labels, best first."),
            Field(name="label", shape="vector", optional=True, doc="The labels that these are the probabilities of."),
        ),
        json_key="",
    ),
    capabilities=Capabilities(gpu=True, hosts=True, resumes=True),
    extras=("train", "serve", "blazingtext"),
)
