"""The network against its formulas in NumPy, its optimizers against rules written out, and what it finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.sparse import csr_matrix

from clary.algorithms.ntm.layers import Counts
from clary.algorithms.ntm.model import Network, TopicModel, optimizer
from clary.toolkit.artifact import Artifact
from clary.toolkit.errors import UserError
from topics import drawn, settings

CPU = torch.device("cpu")
Array = npt.NDArray[Any]
ACTIVATIONS: dict[str, Any] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
}


def counted(rows: Array) -> Counts:
    return Counts.of(csr_matrix(rows, dtype=np.float32), CPU)


def softmax(x: Array) -> Array:
    odds = np.exp(x - x.max(axis=1, keepdims=True))
    shares: Array = odds / odds.sum(axis=1, keepdims=True)
    return shares


def shaken(network: Network) -> Network:
    """The network with every weight and moment at random, so that none of them is without effect."""
    torch.manual_seed(3)
    for name, each in network.state_dict().items():
        if each.dtype == torch.float32:
            each.copy_(torch.rand_like(each) + 0.5 if "running_var" in name else torch.randn_like(each) / 2)
    return network


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("normalized", [False, True], ids=["plain", "normalized"])
def test_the_losses_are_those_of_the_formulas(activation: str, normalized: bool) -> None:
    hp = settings(encoder_layers="7,5", encoder_layers_activation=activation, batch_norm=normalized, num_topics=3)
    network = shaken(Network(hp)).eval()
    rows = drawn(6, 10)
    rows[2] = 0
    state = {name: each.numpy().astype(float) for name, each in network.state_dict().items()}
    act = ACTIVATIONS[activation]

    def behind(sums: Array, place: str) -> Array:
        if normalized:
            scale = state[f"{place}.weight"] / np.sqrt(state[f"{place}.running_var"] + 1e-5)
            sums = (sums - state[f"{place}.running_mean"]) * scale + state[f"{place}.bias"]
        found: Array = act(sums)
        return found

    hidden = behind(np.log1p(rows) @ state["words"] + state.get("offset", 0), "first.0")
    hidden = behind(hidden @ state["further.0.0.weight"].T + state.get("further.0.0.bias", 0), "further.0.1.0")
    mean = hidden @ state["mean.weight"].T + state["mean.bias"]
    log_variance = hidden @ state["log_variance.weight"].T + state["log_variance.bias"]
    shares = softmax(mean)
    logarithms = np.log(softmax(shares @ state["topics"].T + state["background"]))
    lengths = np.maximum(rows.sum(axis=1), 1)
    divergence = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1) / lengths
    loss = -(rows * logarithms).sum(axis=1) / lengths
    with torch.inference_mode():
        found = [each.item() for each in network.score(counted(rows))]
    assert found == pytest.approx([divergence.sum(), loss.sum()], rel=1e-4)
    assert TopicModel(network, hp, CPU).shares(csr_matrix(rows, dtype=np.float32)) == pytest.approx(shares, abs=1e-5)


def test_training_looks_at_a_sample_and_scoring_at_the_mean() -> None:
    network, counts = shaken(Network(settings())), counted(drawn(50, 10))
    samples = [[each.item() for each in network(counts)] for _ in range(2)]
    assert samples[0][2] != samples[1][2]
    assert samples[0][1] == samples[1][1]
    assert samples[0][0] == pytest.approx(samples[0][1] + samples[0][2], rel=1e-5)
    network.eval()
    assert network.score(counts)[0].item() / 50 == pytest.approx(samples[0][1], rel=1e-5)


def test_a_batch_of_one_document_is_normalized_by_what_was_seen_before() -> None:
    network = shaken(Network(settings(batch_norm=True)))
    before = {name: each.clone() for name, each in network.named_buffers()}
    loss = network(counted(drawn(1, 10)))[0]
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert all(torch.equal(each, before[name]) for name, each in network.named_buffers())


def test_the_background_begins_as_the_frequencies_of_words() -> None:
    network = Network(settings(feature_dim=4), np.array([1.0, 10.0, 100.0, 0.0]))
    torch.nn.init.zeros_(network.topics)
    chances = torch.softmax(network.background, dim=0).detach().numpy()
    assert chances[:3] / chances[0] == pytest.approx([1, 10, 100], rel=1e-5)
    assert 0 < chances[3] < chances[0]


# What a first step takes off a weight, for a gradient g.
RULES: dict[str, Any] = {
    "sgd": lambda g, rate: rate * g,
    "adam": lambda g, rate: rate * g / (np.abs(g) + 1e-8),
    "adagrad": lambda g, rate: rate * g / np.sqrt(g * g + 1e-7),
    "rmsprop": lambda g, rate: rate * g / (np.sqrt(0.1 * g * g) + 1e-8),
    "adadelta": lambda g, rate: g * np.sqrt(1e-5) / np.sqrt(0.1 * g * g + 1e-5),
}


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("cut", ["inf", "0.002"])
def test_a_step_is_that_of_its_rule(kind: str, cut: str) -> None:
    hp = settings(optimizer=kind, learning_rate=0.1, rescale_gradient=0.5, clip_gradient=cut, weight_decay=0.3)
    network = Network(hp, np.arange(10.0))
    rule, before = optimizer(network, hp), {name: each.clone() for name, each in network.named_parameters()}
    network(counted(drawn(8, 10)))[0].backward()
    gradients = {name: each.grad.numpy().astype(float) for name, each in network.named_parameters()}
    rule.step()
    for name, each in network.named_parameters():
        weight = before[name].detach().numpy().astype(float)
        followed = np.clip(gradients[name] * 0.5, -float(cut), float(cut))
        followed += 0.3 * weight if weight.ndim > 1 else 0
        expected = weight - RULES[kind](followed, 0.1)
        assert each.detach().numpy() == pytest.approx(expected, rel=1e-3, abs=2e-4), name


def test_gradients_are_left_alone_where_nothing_is_to_be_done() -> None:
    hp = settings(optimizer="sgd")
    assert not optimizer(Network(hp), hp)._optimizer_step_pre_hooks


def test_a_saved_model_answers_as_before() -> None:
    hp = settings(batch_norm=True, encoder_layers="[6]")
    model = TopicModel(shaken(Network(hp)), hp, CPU)
    rows = csr_matrix(drawn(5, 10))
    assert np.array_equal(TopicModel.load(model.artifact({}), "cpu").shares(rows), model.shares(rows))


@pytest.mark.parametrize("damage", ["missing", "shape", "algorithm", "more"])
def test_what_is_no_model_is_refused(damage: str) -> None:
    hp = settings()
    whole = TopicModel(Network(hp), hp, CPU).artifact({})
    tensors, algorithm = dict(whole.tensors), whole.algorithm
    if damage == "missing":
        del tensors["topics"]
    elif damage == "shape":
        tensors["topics"] = tensors["topics"][:-1]
    elif damage == "more":
        tensors["second"] = np.zeros(3, np.float32)
    else:
        algorithm = "kmeans"
    with pytest.raises(UserError, match=r"it is damaged|a model of kmeans"):
        TopicModel.load(Artifact(algorithm, whole.hyperparameters, whole.schema, tensors), "cpu")
