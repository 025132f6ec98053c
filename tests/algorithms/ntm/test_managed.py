"""The file for MXNet holds a network that computes what ours does, node by node."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.sparse import csr_matrix

from clary.algorithms.ntm.model import Network, TopicModel
from clary.toolkit.codecs import mxnet_ndarray
from topics import drawn, settings

Array = npt.NDArray[Any]


def softmax(x: Array) -> Array:
    odds = np.exp(x - x.max(axis=1, keepdims=True))
    found: Array = odds / odds.sum(axis=1, keepdims=True)
    return found


def computed(node: dict[str, Any], given: list[Array]) -> Array:
    """What MXNet's documentation says that the node computes."""
    attributes, first = node.get("attrs", {}), given[0]
    if node["op"] == "FullyConnected":
        assert int(attributes["num_hidden"]) == len(given[1])
        assert (attributes["no_bias"] == "True") is (len(given) == 2)
        return np.asarray(first @ given[1].T + (given[2] if len(given) == 3 else 0))
    if node["op"] == "BatchNorm":
        gamma, beta, mean, variance = given[1:]
        return np.asarray(gamma * (first - mean) / np.sqrt(variance + float(attributes["eps"])) + beta)
    if node["op"] == "Activation":
        kinds: dict[str, Any] = {
            "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
            "tanh": np.tanh,
            "relu": lambda x: np.maximum(x, 0),
        }
        return np.asarray(kinds[attributes["act_type"]](first))
    others: dict[str, Any] = {"log1p": np.log1p, "softmax": softmax, "log_softmax": lambda x: np.log(softmax(x))}
    return np.asarray(others[node["op"]](first))


@pytest.mark.parametrize("normalized", [False, True], ids=["plain", "normalized"])
def test_the_network_for_mxnet_answers_alike(normalized: bool) -> None:
    hp = settings(encoder_layers="7,5", batch_norm=normalized, num_topics=3)
    torch.manual_seed(0)
    network = Network(hp, np.arange(10.0))
    for each in network.buffers():
        if each.dtype == torch.float32:
            each.copy_(torch.rand_like(each) + 0.5)
    model, rows = TopicModel(network, hp, torch.device("cpu")), drawn(6, 10)
    with zipfile.ZipFile(io.BytesIO(model.artifact({}).files["model_algo-1"])) as archive:
        assert archive.namelist() == ["meta.json", "symbol.json", "params"]
        symbol, arrays = (
            json.loads(archive.read("symbol.json")),
            mxnet_ndarray.decode(archive.read("params"), source="params"),
        )
    held = {name.partition(":")[2]: array for name, array in arrays.items()} | {"data": rows}
    assert {name for name in arrays if name.startswith("aux:")} == (
        {f"aux:norm{n}_moving_{what}" for n in range(2) for what in ("mean", "var")} if normalized else set()
    )
    found: list[Array] = []
    for node in symbol["nodes"]:
        given = [found[number] for number, _, _ in node["inputs"]]
        found.append(held[node["name"]] if node["op"] == "null" else computed(node, given))
    shares, logarithms, _ = (found[number] for number, _, _ in symbol["heads"])
    assert arrays["arg:projection_weight"].shape == (10, 3)
    assert np.array_equal(arrays["arg:projection_weight"], model.weights)
    assert shares == pytest.approx(model.shares(csr_matrix(rows)), abs=1e-5)
    background = network.background.detach().numpy()
    assert np.exp(logarithms) == pytest.approx(softmax(shares @ model.weights.T + background), abs=1e-5)
