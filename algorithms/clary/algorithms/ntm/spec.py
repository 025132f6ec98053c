"""What the neural topic model promises: hyperparameters, channels, metrics and payloads."""

from __future__ import annotations

import math
from collections.abc import Iterator

from clary.toolkit import media
from clary.toolkit.parameters import AUTO, HyperparameterSet, choice, flag, hyperparameters, integer, real, text
from clary.toolkit.spec import (
    PROGRESS,
    THROUGHPUT,
    AlgorithmSpec,
    Capabilities,
    Channel,
    Field,
    Metric,
    Payloads,
)

ACTIVATIONS = ("sigmoid", "tanh", "relu")
SGD, ADAM, ADAGRAD, ADADELTA, RMSPROP = OPTIMIZERS = ("sgd", "adam", "adagrad", "adadelta", "rmsprop")
UNLIMITED = "inf"
_WIDTH = r"\s*[1-9][0-9]{0,6}\s*"
_WIDTHS = rf"{_WIDTH}(,{_WIDTH})*"
_SEARCH_SCALE = "Auto"
_MOST_LAYERS = 32


@hyperparameters
class Hyperparameters(HyperparameterSet):
    """The managed neural topic model's hyperparameters, names and defaults unchanged."""

    feature_dim: int = integer(
        at_least=1, at_most=1_000_000, required=True, doc="Size of the vocabulary: number of counts in each row."
    )
    num_topics: int = integer(at_least=2, at_most=1000, required=True, doc="Number of topics to find.")
    batch_norm: bool = flag(False, doc="Whether each layer of the encoder normalizes what it passes on, by batch.")
    clip_gradient: float | str = real(
        UNLIMITED,
        at_least=0.001,
        words=(UNLIMITED,),
        doc="Each component of the gradient, rescaled, is cut to this size in both directions; inf cuts nothing.",
    )
    encoder_layers: str = text(
        AUTO,
        pattern=rf"{AUTO}|{_WIDTHS}|\[{_WIDTHS}\]",
        wording="integers of at least 1 with commas between them, such as 100,50 or [100, 50],",
        auto=True,
        doc="Widths of the encoder's layers, from the words on; auto is 3 * num_topics, 2 * num_topics.",
    )
    encoder_layers_activation: str = choice(
        "sigmoid", of=ACTIVATIONS, tunable=ACTIVATIONS, doc="Activation of the encoder's layers."
    )
    epochs: int = integer(50, at_least=1, doc="Most passes over the training data.")
    learning_rate: float = real(
        0.001,
        at_least=1e-6,
        at_most=1.0,
        tunable=(1e-4, 0.1),
        scaling=_SEARCH_SCALE,
        doc="Step size of the optimizer; adadelta finds its own and does not read it.",
    )
    mini_batch_size: int = integer(
        256,
        at_least=1,
        at_most=10_000,
        tunable=(16, 2048),
        scaling=_SEARCH_SCALE,
        doc="Documents per batch on each host, shared out among its GPUs.",
    )
    num_patience_epochs: int = integer(
        3,
        at_least=1,
        doc="Epochs back to the losses that a new one is compared with, and bad epochs in a row that are borne; a "
        "value above epochs turns early stopping off.",
    )
    optimizer: str = choice(
        ADADELTA, of=OPTIMIZERS, tunable=(SGD, ADAM, ADADELTA), doc="Rule by which gradients become steps."
    )
    rescale_gradient: float = real(
        1.0,
        at_least=0.001,
        at_most=1.0,
        tunable=(0.1, 1.0),
        scaling=_SEARCH_SCALE,
        doc="What the gradient is multiplied with before it is cut.",
    )
    sub_sample: float = real(
        1.0,
        at_least=0.0,
        at_most=1.0,
        doc="Share of the training documents drawn for each epoch; one document at least.",
    )
    tolerance: float = real(
        0.001,
        at_least=1e-6,
        at_most=0.1,
        doc="Smallest decrease of the loss, as a difference, by which an epoch counts as good for early stopping.",
    )
    weight_decay: float = real(
        0.0,
        at_least=0.0,
        at_most=1.0,
        tunable=(0.0, 1.0),
        scaling=_SEARCH_SCALE,
        doc="Strength of the L2 penalty on the weights.",
    )

    def problems(self) -> Iterator[str]:
        """The layers must be a network of a size that a machine can hold."""
        if len(self.widths()) > _MOST_LAYERS:
            yield f"encoder_layers may name {_MOST_LAYERS} layers at most; got {len(self.widths())}"

    def widths(self) -> tuple[int, ...]:
        """The widths of the encoder's layers, the first one next to the words."""
        if self.encoder_layers == AUTO:
            return 3 * self.num_topics, 2 * self.num_topics
        return tuple(map(int, self.encoder_layers.strip("[]").split(",")))

    @property
    def largest(self) -> float:
        """The size that a component of the gradient may have; infinite where it is not cut."""
        return math.inf if self.clip_gradient == UNLIMITED else float(self.clip_gradient)

    @property
    def stops_early(self) -> bool:
        """Whether a loss that has stopped falling may end the training."""
        return self.num_patience_epochs <= self.epochs

    def without_effect(self) -> Iterator[str]:
        """A sentence for each hyperparameter that the job sets and that yet changes nothing in it."""
        if self.optimizer == ADADELTA and "learning_rate" in self.given:
            yield "learning_rate has no effect with optimizer adadelta, which finds its own step sizes"


_CHANNEL_TYPES = (media.RECORDIO_PROTOBUF, media.CSV)


def _quality(name: str, line: str, doc: str, when: str = "") -> Metric:
    return Metric(name, "Minimize", f"#quality_metric: host={{host}}, {line} total_loss <loss>={{value}}", doc, when)


SPEC = AlgorithmSpec(
    name="ntm",
    repository="ntm",
    title="Neural topic model",
    class_name="NTM",
    summary="Finds the topics of documents, and the words of each topic, with a variational auto-encoder.",
    tasks=("topic modelling",),
    hyperparameters=Hyperparameters,
    channels=(
        Channel(
            name="train",
            required=True,
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Documents as bags of words, feature_dim counts each: protobuf, dense or sparse, or CSV without "
            "header; a label is read over.",
        ),
        Channel(
            name="validation",
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Documents that are scored after every epoch; early stopping watches their loss.",
        ),
        Channel(
            name="test",
            content_types=_CHANNEL_TYPES,
            default_type=media.RECORDIO_PROTOBUF,
            doc="Documents that are scored once, with the final model.",
        ),
        Channel(
            name="auxiliary",
            content_types=(media.TEXT,),
            default_type=media.TEXT,
            input_modes=("File", "FastFile"),
            doc="The vocabulary, a file vocab.txt in UTF-8 with one word per line, of which line i, counted from 0, "
            "names feature i; the log then shows the words of each topic. A file vectors.txt beside it, a word and "
            "its numbers per line, gives the word vectors for the score wetc.",
        ),
    ),
    metrics=(
        _quality(
            "validation:total_loss",
            "epoch={epoch}, validation",
            "Reconstruction loss plus Kullback-Leibler divergence on the validation documents, per word.",
            "with a validation channel, once after the last epoch",
        ),
        _quality(
            "train:total_loss",
            "epoch={epoch}, train",
            "The same sum on the training documents of the epoch, each before its update.",
            "after every epoch",
        ),
        _quality(
            "test:total_loss",
            "test",
            "The same sum on the test documents.",
            "with a test channel, once after training",
        ),
        PROGRESS,
        THROUGHPUT,
    ),
    payloads=Payloads(
        requests=(media.CSV, media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF),
        responses=(media.JSON, media.JSON_LINES, media.RECORDIO_PROTOBUF),
        fields=(
            Field(
                name="topic_weights",
                shape="vector",
                doc="The share of each topic in the document; all are at least 0 and add up to 1.",
            ),
        ),
    ),
    capabilities=Capabilities(gpu=True, hosts=True, resumes=True),
    extras=("train", "serve", "ntm"),
    measured={"feature_dim": "feature_dim"},
)
