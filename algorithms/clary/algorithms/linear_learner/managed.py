"""The model file of the managed linear learner: a zip with an MXNet network of one layer and its parameters.

Its members are ``mx-mod-symbol.json`` and ``mx-mod-0000.params``, so ``mx.mod.Module.load("mx-mod", 0,
label_names=["out_label"])`` reads what lies in the unzipped folder. Weights are in the features' own units. The
decision threshold has no place in the file.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.algorithms.linear_learner.spec import BINARY, LOSSES, MULTICLASS, REGRESSOR
from clary.toolkit.codecs import mxnet_ndarray
from clary.toolkit.errors import UserError

Array = npt.NDArray[Any]

_SYMBOL, _PARAMETERS = "mx-mod-symbol.json", "mx-mod-0000.params"
_MXNET = 10900  # version 1.9, whose form of a network is written here
_LOGISTIC = ("LogisticRegressionOutput", "sigmoid")
_SOFTMAX = ("SoftmaxOutput", "Softmax", "softmax", "SoftmaxActivation")
_HINGE = ("SVMOutput",)
# What the zip module raises for an archive with wrong bytes, one time or another.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError)
_PLAIN = ("LinearRegressionOutput", "MAERegressionOutput", "FullyConnected", "identity", "_copy")
_OUTPUTS = {"logistic": _LOGISTIC[0], "hinge_loss": _HINGE[0], "softmax_loss": _SOFTMAX[0]}


@dataclass(frozen=True)
class ManagedModel:
    """What the file says: weights (C, D) and bias (C) in float64, with C = 1 unless there are several classes."""

    weights_CD: Array
    bias_C: Array
    predictor_type: str
    loss: str


def managed_file(weights_CD: Array, bias_C: Array, predictor_type: str, loss: str) -> bytes:
    """The file that holds this model as float32; the same model gives the same bytes."""
    output = _OUTPUTS.get(loss, _PLAIN[0])
    parameters = {"arg:fc0_weight": weights_CD.astype(np.float32), "arg:fc0_bias": bias_C.astype(np.float32)}
    manifest = {"predictor_type": predictor_type, "loss": loss, "feature_dim": weights_CD.shape[1]}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in (
            (_SYMBOL, _json(_network(len(weights_CD), output))),
            (_PARAMETERS, mxnet_ndarray.encode(parameters)),
            ("manifest.json", _json(manifest)),
        ):
            # A plain entry says when and where it was made.
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, content)
    return packed.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


def _network(width: int, output: str) -> dict[str, Any]:
    """One fully connected layer and an output, as MXNet writes a network."""
    nodes: list[dict[str, Any]] = [
        {"op": "null", "name": "data", "inputs": []},
        {"op": "null", "name": "fc0_weight", "inputs": []},
        {"op": "null", "name": "fc0_bias", "inputs": []},
        {
            "op": "FullyConnected",
            "name": "fc0",
            "attrs": {"num_hidden": str(width)},
            "inputs": [[0, 0, 0], [1, 0, 0], [2, 0, 0]],
        },
        {"op": "null", "name": "out_label", "inputs": []},
        {"op": output, "name": "out", "inputs": [[3, 0, 0], [4, 0, 0]]},
    ]
    return {
        "nodes": nodes,
        "arg_nodes": [number for number, node in enumerate(nodes) if node["op"] == "null"],
        "node_row_ptr": list(range(len(nodes) + 1)),
        "heads": [[len(nodes) - 1, 0, 0]],
        "attrs": {"mxnet_version": ["int", _MXNET]},
    }


def read_managed_file(content: bytes, *, source: str) -> ManagedModel:
    """The model in such a file; UserError where it is none, or is no linear model of a known kind."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            network, parameters = (_member(archive, ending, source) for ending in ("-symbol.json", ".params"))
    except _DAMAGE as error:
        raise UserError(f"{source} is no model of the linear learner, which is a zip archive: {error}") from error
    try:
        symbol = json.loads(network)
    except (ValueError, RecursionError) as error:
        raise UserError(f"the network in {source} is no JSON: {error}") from error
    weights_CD, bias_C = _layer(mxnet_ndarray.decode(parameters, source=source), source)
    outputs = list(_outputs(symbol))
    if any(each in _SOFTMAX for each in outputs):
        if len(weights_CD) > 2:
            return ManagedModel(weights_CD, bias_C, MULTICLASS, LOSSES[MULTICLASS][0])
        # The softmax of two scores is the logistic function of their difference.
        weights_CD, bias_C, outputs = np.diff(weights_CD, axis=0), np.diff(bias_C), [*_LOGISTIC]
    if len(weights_CD) == 1:
        for known, predictor_type, loss in (
            (_LOGISTIC, BINARY, "logistic"),
            (_HINGE, BINARY, "hinge_loss"),
            (_PLAIN, REGRESSOR, LOSSES[REGRESSOR][0]),
        ):
            if any(each in known for each in outputs):
                return ManagedModel(weights_CD, bias_C, predictor_type, loss)
    kinds = f"{len(weights_CD)} rows of weights and ends in {', '.join(outputs) or 'nothing'}"
    raise UserError(f"{source} holds no linear model of a known kind: its network has {kinds}")


def _member(archive: zipfile.ZipFile, ending: str, source: str) -> bytes:
    found = [name for name in archive.namelist() if name.endswith(ending)]
    if len(found) != 1:
        names = ", ".join(archive.namelist()[:8]) or "nothing"
        raise UserError(f"{source} must hold one file whose name ends in {ending!r}; it holds {names}")
    if archive.getinfo(found[0]).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UserError(f"{found[0]} in {source} is compressed in a way that is not read here; pack it with deflate")
    return archive.read(found[0])


def _layer(arrays: dict[str, Array], source: str) -> tuple[Array, Array]:
    """Weights and bias of the one layer; a network without a bias has one of zeros."""
    weights = [array for name, array in arrays.items() if name.endswith("_weight")]
    biases = [array for name, array in arrays.items() if name.endswith("_bias")]
    if len(weights) != 1 or len(biases) > 1 or weights[0].ndim != 2 or not weights[0].size:
        raise UserError(f"{source} must hold one matrix of weights; it holds {', '.join(arrays) or 'nothing'}")
    bias = biases[0].reshape(-1) if biases else np.zeros(len(weights[0]))
    if len(bias) != len(weights[0]):
        raise UserError(f"{source} holds {len(weights[0])} rows of weights and {len(bias)} biases")
    if not (np.isfinite(weights[0]).all() and np.isfinite(bias).all()):
        raise UserError(f"{source} holds weights that are not finite")
    return weights[0].astype(np.float64), bias.astype(np.float64)


def _outputs(symbol: Any) -> Iterator[str]:
    """The operators that the network ends in; none where it has not the form of a network."""
    try:
        for head in symbol["heads"]:
            node = symbol["nodes"][head[0]]
            attributes = node.get("attrs") or node.get("attr") or node.get("param") or {}
            # An Activation says which one it is in an attribute.
            yield str(attributes.get("act_type", node["op"]))
    except (KeyError, IndexError, TypeError, AttributeError):
        return
