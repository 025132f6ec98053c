"""The neural topic model: what a document's words say of its topics, and what its topics say of its words.

An encoder turns the counts of a document's words into a Gaussian over numbers, one for each topic. The softmax of a
sample gives the shares of the topics, and the softmax over words of ``topics @ shares + background`` what the words
are drawn from. Both are trained together, on a bound of the likelihood (Miao, Yu, Blunsom: Neural Variational
Inference for Text Processing, ICML 2016). Different here are the softmax of the sample, which the managed algorithm
has too; counts that go in as log(1 + count), so that one word in a long document does not drown the others; and the
background, which begins as the words' own frequencies: what they have in common need not be learned by every topic.

B documents, W words, H units, K topics.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from clary.algorithms.ntm.layers import Counts, reconstruction
from clary.algorithms.ntm.managed import MANAGED_FILE, managed_file
from clary.algorithms.ntm.spec import ADADELTA, ADAGRAD, ADAM, RMSPROP, SGD, SPEC, Hyperparameters
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import UserError
from clary.toolkit.optimizers import light

Array = npt.NDArray[Any]
_ACTIVATIONS = {"sigmoid": torch.nn.Sigmoid, "tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}
_RARE = 0.5  # what a word's frequency is at least, for its logarithm
_WIDEST = 20.0  # at most, the logarithm of the variance; a larger one would not be a number for long
# With the constants of MXNet, on which the managed algorithm runs. Adadelta does without a learning rate there.
_RULES: dict[str, Any] = {
    SGD: (torch.optim.SGD, {}),
    ADAM: (torch.optim.Adam, {"fused": True}),
    ADAGRAD: (torch.optim.Adagrad, {"initial_accumulator_value": 1e-7, "eps": 0.0}),
    ADADELTA: (torch.optim.Adadelta, {"lr": 1.0, "rho": 0.9, "eps": 1e-5}),
    RMSPROP: (torch.optim.RMSprop, {"alpha": 0.9, "eps": 1e-8}),
}


class Network(torch.nn.Module):
    """Encoder and decoder. Called with counts, it gives what to train on, and two means to report.

    ``frequencies_W`` is how often each word occurs in the training documents, of which the background is made.
    """

    def __init__(self, hp: Hyperparameters, frequencies_W: Array | None = None) -> None:
        super().__init__()
        words, widths, topics = hp.feature_dim, hp.widths(), hp.num_topics
        self.words = torch.nn.Parameter(torch.empty(words, widths[0]))
        # A normalized layer has an offset of its own.
        self.offset = None if hp.batch_norm else torch.nn.Parameter(torch.zeros(widths[0]))
        self.first = _behind(hp, widths[0])
        self.further = torch.nn.Sequential(
            *(
                torch.nn.Sequential(torch.nn.Linear(before, behind, bias=not hp.batch_norm), _behind(hp, behind))
                for before, behind in pairwise(widths)
            )
        )
        self.mean = torch.nn.Linear(widths[-1], topics)
        self.log_variance = torch.nn.Linear(widths[-1], topics)
        self.topics = torch.nn.Parameter(torch.empty(words, topics))
        self.background = torch.nn.Parameter(_background(words, frequencies_W))
        self._start()

    def _start(self) -> None:
        for each in self.modules():
            if isinstance(each, torch.nn.Linear):
                torch.nn.init.xavier_uniform_(each.weight)
                if each.bias is not None:
                    torch.nn.init.zeros_(each.bias)
        torch.nn.init.xavier_uniform_(self.words)
        torch.nn.init.xavier_uniform_(self.topics)
        # Every document begins with the variance of the prior.
        torch.nn.init.zeros_(self.log_variance.weight)

    def forward(self, counts: Counts) -> tuple[Tensor, Tensor, Tensor]:
        """The loss per word, mean over documents; its two parts, divergence and reconstruction loss."""
        mean_BK, log_variance_BK = self.encode(counts)
        sample_BK = mean_BK + torch.exp(log_variance_BK / 2) * torch.randn_like(mean_BK)
        return self._bound(sample_BK, mean_BK, log_variance_BK, counts)

    def score(self, counts: Counts) -> tuple[Tensor, Tensor]:
        """The sums over documents of divergence and reconstruction loss per word, at the mean and not at a sample."""
        mean_BK, log_variance_BK = self.encode(counts)
        _, divergence, loss = self._bound(mean_BK, mean_BK, log_variance_BK, counts)
        return divergence * len(counts), loss * len(counts)

    def encode(self, counts: Counts) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance (B, K) of each document's Gaussian."""
        sums_BH = counts.logarithms().times(self.words)
        hidden_BH = self.further(self.first(sums_BH if self.offset is None else sums_BH + self.offset))
        return self.mean(hidden_BH), self.log_variance(hidden_BH).clamp(max=_WIDEST)

    def shares(self, counts: Counts) -> Tensor:
        """The share of each topic in each document (B, K): the softmax of the mean."""
        return torch.softmax(self.encode(counts)[0], dim=1)

    def _bound(
        self, sample_BK: Tensor, mean_BK: Tensor, log_variance_BK: Tensor, counts: Counts
    ) -> tuple[Tensor, Tensor, Tensor]:
        shares_BK = torch.softmax(sample_BK, dim=1)
        lost, lost_B = reconstruction(shares_BK, self.topics, self.background, counts)
        divergence_B = (mean_BK.square() + log_variance_BK.exp() - 1 - log_variance_BK).sum(dim=1) / 2
        divergence = (divergence_B * counts.per_word()).mean()
        return lost / len(counts) + divergence, divergence.detach(), lost_B.mean()


def _behind(hp: Hyperparameters, width: int) -> torch.nn.Module:
    """What follows the sums of a layer."""
    activation = _ACTIVATIONS[hp.encoder_layers_activation]()
    return torch.nn.Sequential(_Normalization(width), activation) if hp.batch_norm else activation


class _Normalization(torch.nn.BatchNorm1d):
    """Batch normalization that takes a batch of one document, too, of which there is no variance to take."""

    def forward(self, sums_BH: Tensor) -> Tensor:
        """The sums (B, H), of mean 0 and variance 1 over the batch and then scaled and shifted."""
        if len(sums_BH) > 1 or not self.training:
            return super().forward(sums_BH)
        moments = self.running_mean, self.running_var
        return torch.nn.functional.batch_norm(sums_BH, *moments, self.weight, self.bias, False, 0.0, self.eps)


def _background(words: int, frequencies_W: Array | None) -> Tensor:
    """The logarithms of the words' frequencies, around 0; zeros where these are not known."""
    if frequencies_W is None:
        return torch.zeros(words)
    logarithms_W = np.log(np.maximum(frequencies_W, _RARE))
    return torch.from_numpy((logarithms_W - logarithms_W.mean()).astype(np.float32))


def optimizer(network: Network, hp: Hyperparameters) -> torch.optim.Optimizer:
    """The rule by which the network is trained; it rescales and cuts gradients before each step.

    The penalty is on weights and not on offsets, and no part of what is cut.
    """
    weights = [each for each in network.parameters() if each.dim() > 1]
    others = [each for each in network.parameters() if each.dim() <= 1]
    groups = [{"params": weights, "weight_decay": hp.weight_decay}, {"params": others, "weight_decay": 0.0}]
    kind, constants = _RULES[hp.optimizer]
    rule: torch.optim.Optimizer = light(kind)(groups, **{"lr": hp.learning_rate, **constants})
    if hp.rescale_gradient != 1 or np.isfinite(hp.largest):
        rule.register_step_pre_hook(_Cut(hp.rescale_gradient, hp.largest))
    return rule


class _Cut:
    """Multiplies every gradient with a factor, and then cuts its components to a size."""

    def __init__(self, factor: float, largest: float) -> None:
        self._factor, self._largest = factor, largest

    def __call__(self, rule: torch.optim.Optimizer, *_: Any) -> None:
        """Change the gradients that the rule is about to follow."""
        for group in rule.param_groups:
            for each in group["params"]:
                if each.grad is not None:
                    each.grad.mul_(self._factor).clamp_(-self._largest, self._largest)


class TopicModel:
    """A trained network, ready to be asked and to be saved."""

    def __init__(self, network: Network, hp: Hyperparameters, device: torch.device) -> None:
        self.network, self.hp, self.device = network.eval(), hp, device

    @property
    def weights(self) -> Array:
        """The weight of each word in each topic (W, K), beside what all documents have in common."""
        found_WK: Array = self.network.topics.detach().cpu().numpy()
        return found_WK

    def shares(self, rows: Any) -> Array:
        """The share of each topic in each document (B, K) of a CSR matrix."""
        with torch.inference_mode():
            found_BK: Array = self.network.shares(Counts.of(rows, self.device)).cpu().numpy()
        return found_BK

    def artifact(self, files: dict[str, bytes]) -> Artifact:
        """This model as an artifact, with these files beside it, and the file of the managed algorithm."""
        tensors = {name: each.detach().cpu().numpy() for name, each in self.network.state_dict().items()}
        return Artifact(
            algorithm=SPEC.name,
            hyperparameters=self.hp.spell(),
            schema={"feature_dim": self.hp.feature_dim, "num_topics": self.hp.num_topics},
            tensors=tensors,
            files={MANAGED_FILE: managed_file(tensors, self.hp), **files},
        )

    @classmethod
    def load(cls, artifact: Artifact, device: str) -> TopicModel:
        """The model that the artifact holds, on that device; UserError where it is none or damaged."""
        if artifact.algorithm != SPEC.name:
            raise UserError(f"this is a model of {artifact.algorithm}; the neural topic model cannot load it")
        try:
            hp = Hyperparameters.parse(artifact.hyperparameters)
            with torch.device("meta"):
                network = Network(hp)
            tensors = {name: torch.from_numpy(each) for name, each in artifact.tensors.items()}
            network.load_state_dict(tensors, assign=True)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"the model's tensors do not fit its hyperparameters; it is damaged ({error})") from error
        return cls(network.to(device), hp, torch.device(device))
