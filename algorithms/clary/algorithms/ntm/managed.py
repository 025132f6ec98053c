"""The model file of the managed neural topic model: a zip with an MXNet network and its arrays.

Its members are ``meta.json``, ``symbol.json`` and ``params``, which ``mx.nd.load("params")`` reads. Of the managed
one's arrays one name is known, that of the decoder's weight, ``arg:projection_weight`` (feature_dim, num_topics),
whose columns are the topics; the others have names of our own.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.ntm.spec import Hyperparameters
from clary.toolkit.codecs import mxnet_ndarray

Array = npt.NDArray[Any]
MANAGED_FILE = "model_algo-1"
_MXNET = 10900  # version 1.9, whose form of a network is written here
_EPSILON = 1e-5  # of batch normalization


def managed_file(tensors: Mapping[str, Array], hp: Hyperparameters) -> bytes:
    """The file that holds the network with these tensors; the same ones give the same bytes."""
    graph = _Graph(tensors)
    units = graph.node("log1p", "logarithms", graph.node("null", "data"))
    for number, width in enumerate(hp.widths()):
        units = graph.layer(f"encoder{number}", units, width, *_layer(number, hp.batch_norm))
        if hp.batch_norm:
            units = graph.normalized(f"norm{number}", units, _normalization(number))
        units = graph.node("Activation", f"activation{number}", units, act_type=hp.encoder_layers_activation)
    mean = graph.layer("mean", units, hp.num_topics, "mean.weight", "mean.bias")
    spread = graph.layer("log_variance", units, hp.num_topics, "log_variance.weight", "log_variance.bias")
    shares = graph.node("softmax", "topic_weights", mean)
    words = graph.layer("projection", shares, hp.feature_dim, "topics", "background")
    ends = [shares, graph.node("log_softmax", "word_logarithms", words), spread]
    meta = {"feature_dim": hp.feature_dim, "num_topics": hp.num_topics}
    members = {
        "meta.json": json.dumps(meta).encode() + b"\n",
        "symbol.json": json.dumps(graph.symbol(ends), indent=2).encode() + b"\n",
        "params": mxnet_ndarray.encode(graph.arrays),
    }
    return _packed(members)


def _layer(number: int, normalized: bool) -> tuple[str, str | None]:
    """The names of a layer's weight and offset, in the network."""
    if not number:
        return "words", None if normalized else "offset"
    place = f"further.{number - 1}.0"
    return f"{place}.weight", None if normalized else f"{place}.bias"


def _normalization(number: int) -> str:
    return "first.0" if not number else f"further.{number - 1}.1.0"


class _Graph:
    """The network as MXNet writes it: nodes that name those they read from, and the arrays of those that hold one."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self.arrays: dict[str, Array] = {}
        self._tensors, self._nodes = tensors, list[dict[str, Any]]()

    def node(self, op: str, name: str, *inputs: int, **attributes: str) -> int:
        """The number of a new node."""
        made = {"op": op, "name": name, "inputs": [[each, 0, 0] for each in inputs]}
        self._nodes.append({**made, "attrs": attributes} if attributes else made)
        return len(self._nodes) - 1

    def layer(self, name: str, units: int, width: int, weight: str, offset: str | None) -> int:
        """A layer that adds up; the words' table has a row for each word, and MXNet one for each unit."""
        found = self._tensors[weight]
        inputs = [units, self._held(f"{name}_weight", found.T if weight == "words" else found)]
        if offset is not None:
            inputs.append(self._held(f"{name}_bias", self._tensors[offset]))
        return self.node("FullyConnected", name, *inputs, num_hidden=str(width), no_bias=str(offset is None))

    def normalized(self, name: str, units: int, place: str) -> int:
        """A layer that normalizes by the moments of training."""
        parts = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_var": "running_var"}
        held = [
            self._held(f"{name}_{theirs}", self._tensors[f"{place}.{ours}"], "aux" if "moving" in theirs else "arg")
            for theirs, ours in parts.items()
        ]
        return self.node("BatchNorm", name, units, *held, eps=str(_EPSILON), fix_gamma="False")

    def symbol(self, ends: list[int]) -> dict[str, Any]:
        """The whole, which answers what these nodes come to."""
        return {
            "nodes": self._nodes,
            "arg_nodes": [number for number, each in enumerate(self._nodes) if each["op"] == "null"],
            "node_row_ptr": list(range(len(self._nodes) + 1)),
            "heads": [[end, 0, 0] for end in ends],
            "attrs": {"mxnet_version": ["int", _MXNET]},
        }

    def _held(self, name: str, array: Array, kind: str = "arg") -> int:
        self.arrays[f"{kind}:{name}"] = np.ascontiguousarray(array, np.float32)
        return self.node("null", name)


def _packed(members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            # A plain entry says when and where it was made.
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, content)
    return packed.getvalue()
