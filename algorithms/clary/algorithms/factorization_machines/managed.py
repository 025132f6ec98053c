"""The model file of the managed factorization machines: a zip with an MXNet network and its three arrays.

Its members are ``symbol.json`` and ``params``. Renamed to ``model-symbol.json`` and ``model-0000.params``, as the
vendor's article on exporting the factors does, ``mx.mod.Module.load("model", 0, label_names=["out_label"])`` reads
them; the arrays are ``w0_weight`` (1), ``w1_weight`` (D, 1) and ``v`` (D, K).
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from typing import Any

import numpy as np

from clary.algorithms.factorization_machines.model import Machine
from clary.algorithms.factorization_machines.spec import BINARY, REGRESSOR
from clary.toolkit.codecs import mxnet_ndarray
from clary.toolkit.errors import UserError

_SYMBOL, _PARAMETERS = "symbol.json", "params"
_MXNET = 10900  # version 1.9, whose form of a network is written here
_OUTPUTS = {BINARY: "LogisticRegressionOutput", REGRESSOR: "LinearRegressionOutput"}
# What the zip module raises for an archive with wrong bytes, one time or another.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError)


def managed_file(machine: Machine, predictor_type: str) -> bytes:
    """The file that holds this machine; the same machine gives the same bytes."""
    arrays = {
        "arg:w0_weight": np.array([machine.bias], np.float32),
        "arg:w1_weight": machine.linear_D.reshape(-1, 1),
        "arg:v": machine.factors_DK,
    }
    network = json.dumps(_network(_OUTPUTS[predictor_type]), indent=2).encode() + b"\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in ((_SYMBOL, network), (_PARAMETERS, mxnet_ndarray.encode(arrays))):
            # A plain entry says when and where it was made.
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, content)
    return packed.getvalue()


def _network(output: str) -> dict[str, Any]:
    """The score and an output behind it, as MXNet writes a network: bias + x w + (|x v|^2 - x^2 v^2) / 2."""
    nodes: list[dict[str, Any]] = []

    def node(op: str, name: str, *inputs: int, **attributes: str) -> int:
        made = {"op": op, "name": name, "inputs": [[each, 0, 0] for each in inputs]}
        nodes.append({**made, "attrs": attributes} if attributes else made)
        return len(nodes) - 1

    data, bias, linear, factors = (node("null", name) for name in ("data", "w0_weight", "w1_weight", "v"))
    together = node("square", "sum_square", node("dot", "product", data, factors))
    apart = node("dot", "square_product", node("square", "data_square", data), node("square", "v_square", factors))
    pairs = node("sum", "pairs", node("elemwise_sub", "difference", together, apart), axis="1", keepdims="True")
    half = node("_mul_scalar", "half", pairs, scalar="0.5")
    score = node("elemwise_add", "second", node("dot", "first", data, linear), half)
    node(output, "out", node("broadcast_add", "score", score, bias), node("null", "out_label"))
    return {
        "nodes": nodes,
        "arg_nodes": [number for number, each in enumerate(nodes) if each["op"] == "null"],
        "node_row_ptr": list(range(len(nodes) + 1)),
        "heads": [[len(nodes) - 1, 0, 0]],
        "attrs": {"mxnet_version": ["int", _MXNET]},
    }


def read_managed_file(content: bytes, *, source: str) -> tuple[Machine, str]:
    """The machine in such a file and its predictor type; UserError where it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            network, parameters = (_member(archive, name, source) for name in (_SYMBOL, _PARAMETERS))
    except _DAMAGE as error:
        raise UserError(f"{source} is no model of factorization machines, which is a zip archive: {error}") from error
    arrays = mxnet_ndarray.decode(parameters, source=source)
    return _machine({name.rpartition(":")[2]: array for name, array in arrays.items()}, source), _kind(
        network, source
    )


def _member(archive: zipfile.ZipFile, ending: str, source: str) -> bytes:
    found = [name for name in archive.namelist() if name.endswith(ending)]
    if len(found) != 1:
        names = ", ".join(archive.namelist()[:8]) or "nothing"
        raise UserError(f"{source} must hold one file whose name ends in {ending!r}; it holds {names}")
    if archive.getinfo(found[0]).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UserError(f"{found[0]} in {source} is compressed in a way that is not read here; pack it with deflate")
    return archive.read(found[0])


def _machine(arrays: dict[str, Any], source: str) -> Machine:
    found = {}
    for kind in ("w0", "w1", "v"):
        names = [name for name in arrays if name == kind or name.startswith(f"{kind}_")]
        if len(names) != 1:
            raise UserError(f"{source} must hold one array {kind}; it holds {', '.join(arrays) or 'nothing'}")
        found[kind] = arrays[names[0]].astype(np.float32)
        if not np.isfinite(found[kind]).all():
            raise UserError(f"{source} holds an array {kind} whose numbers are not finite")
    bias, linear_D, factors_DK = found["w0"].reshape(-1), found["w1"].reshape(-1), found["v"]
    if bias.shape != (1,) or factors_DK.ndim != 2 or not factors_DK.size or len(linear_D) != len(factors_DK):
        shapes = ", ".join(f"{kind} {array.shape}" for kind, array in found.items())
        raise UserError(f"{source} must hold w0 (1), w1 (features, 1) and v (features, factors); it holds {shapes}")
    return Machine(float(bias[0]), linear_D, factors_DK)


def _kind(network: bytes, source: str) -> str:
    """The predictor type that the network's output stands for."""
    try:
        symbol = json.loads(network)
        ends = [symbol["nodes"][head[0]]["op"] for head in symbol["heads"]]
    except (ValueError, RecursionError, KeyError, IndexError, TypeError) as error:
        raise UserError(f"the network in {source} is no network of MXNet: {error!r}") from error
    for predictor_type, output in _OUTPUTS.items():
        if output in ends:
            return predictor_type
    raise UserError(f"the network in {source} must end in {' or '.join(_OUTPUTS.values())}; it ends in {ends}")
