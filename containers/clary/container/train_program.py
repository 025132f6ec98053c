"""The ``train`` program: from the files under ``/opt/ml`` to a model there, or to a reason why there is none."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from clary.algorithms import registry
from clary.container import configuration, failure, logs, machine
from clary.container.layout import Layout
from clary.toolkit.errors import ClaryError, UserError
from clary.toolkit.parameters import HyperparameterSet
from clary.toolkit.spec import AlgorithmSpec

if TYPE_CHECKING:
    from clary.toolkit.cluster import Cluster

MAX_SEED = 2**31 - 1


def main(arguments: list[str]) -> int:
    """Train; 0 when a model was written, 1 with a failure file otherwise."""
    options = _options(arguments)
    layout = Layout(options.root) if options.root else Layout.from_environment()
    stop = threading.Event()
    _listen(stop)
    layout.failure.unlink(missing_ok=True)
    try:
        _run(layout, options.algorithm, stop)
    except Exception as error:
        _tell(layout, error)
        return 1
    return 0


def _tell(layout: Layout, error: Exception) -> None:
    """Say in the log and in the failure file why there is no model."""
    text = failure.reason(error)
    if text.startswith("AlgorithmError"):
        traceback.print_exception(error)
    _write(f"Customer Error: {error}" if isinstance(error, UserError) else text, level="ERROR")
    failure.write(layout, text)


def _abandon(layout: Layout, cluster: Cluster, host: str, error: Exception) -> None:
    """End the process as a failed job at once, whatever its other threads wait for."""
    cluster.fail(_farewell(error, host))
    _tell(layout, error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="train", description="Train one algorithm by the container contract.")
    parser.add_argument("--root", type=Path, help="folder laid out like /opt/ml; CLARY_ROOT otherwise")
    parser.add_argument(
        "--algorithm", default=os.environ.get("CLARY_ALGORITHM", ""), help="CLARY_ALGORITHM otherwise"
    )
    return parser.parse_args(arguments)


def _listen(stop: threading.Event) -> None:
    def asked(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)


def _run(layout: Layout, name: str, stop: threading.Event) -> None:
    if not name:
        raise UserError("no algorithm is named; set CLARY_ALGORITHM or give --algorithm")
    spec = registry.spec(name)
    given = configuration.hyperparameters(layout)
    _announce(layout, spec, given)
    values = spec.parse(given)
    _write(f"Final configuration: {json.dumps({**values.spell(), **_set_aside(spec, given)})}")
    settings = configuration.channels(layout, spec)
    hosts = configuration.resources(layout)
    if len(hosts.hosts) > 1 and not spec.capabilities.hosts:
        raise UserError(f"{spec.title} trains on one host; the job has {len(hosts.hosts)}")
    _train(layout, spec, values, settings, hosts, stop, _set_aside(spec, given))


def _train(
    layout: Layout,
    spec: AlgorithmSpec,
    values: HyperparameterSet,
    settings: dict[str, configuration.ChannelSettings],
    hosts: configuration.Resources,
    stop: threading.Event,
    platform: dict[str, Any],
) -> None:
    # Loaded once the request is known to be sound: a refusal needs no numerical library.
    from clary.toolkit import device
    from clary.toolkit.checkpoint import Checkpoints
    from clary.toolkit.cluster import Cluster
    from clary.toolkit.job import Job, Log

    train = registry.trainer(spec.name)
    seed, memory = _seed(), _memory()
    chosen = device.chosen() if spec.capabilities.gpu else device.Device()
    began = time.time()
    cluster = Cluster(hosts.hosts, hosts.current, rendezvous=_rendezvous())
    try:
        identity = {"algorithm": spec.name, "CLARY_SEED": str(seed), "hosts": str(cluster.size), **values.spell()}
        kept = layout.checkpoints if layout.checkpoints.is_dir() else None
        job: Job[Any] = Job(
            hyperparameters=values,
            channels=_inputs(layout, settings, stop, cluster.size),
            cluster=cluster,
            log=Log(spec, hosts.current, _write, _write_plain),
            checkpoints=Checkpoints(kept if spec.capabilities.resumes else None, identity, rank=cluster.rank),
            seed=seed,
            device=chosen.name,
            gpus=chosen.count,
            memory=memory,
            platform={name: str(value) for name, value in platform.items() if name.startswith("_")},
            stop=stop,
            publish=lambda artifact: artifact.write(layout.model) if cluster.leads else None,
            output=lambda name, content: _beside(layout, name, content) if cluster.leads else None,
            abandon=lambda error: _abandon(layout, cluster, hosts.current, error),
        )
        artifact = train(job)
        if cluster.leads:
            artifact.write(layout.model)
    except Exception as error:
        cluster.fail(_farewell(error, hosts.current))
        raise
    finally:
        cluster.close()
    _summary(spec, hosts.current, began)


def _farewell(error: Exception, host: str) -> str:
    """What the other hosts are told; a reason that came from one of them is passed on as it is."""
    text = str(error) if isinstance(error, ClaryError) else failure.reason(error)
    return text if "has left the job" in text else f"host {host} has left the job: {text}"


def _beside(layout: Layout, name: str, content: bytes) -> None:
    from clary.toolkit.artifact import write_whole

    layout.output_data.mkdir(parents=True, exist_ok=True)
    write_whole(layout.output_data / name, content)


def _inputs(
    layout: Layout, settings: dict[str, configuration.ChannelSettings], stop: threading.Event, hosts: int
) -> dict[str, Any]:
    from clary.toolkit.channels import ChannelInput

    return {
        name: ChannelInput(
            name=name,
            place=layout.data / name,
            content_type=each.content_type,
            mode=each.mode,
            sharded=each.sharded,
            wrapped=each.wrapped,
            may_be_empty=each.sharded and hosts > 1,
            stop=stop,
        )
        for name, each in settings.items()
    }


def _announce(layout: Layout, spec: AlgorithmSpec, given: dict[str, Any]) -> None:
    defaults = {
        name: each.spell(each.default)
        for name, each in spec.hyperparameters.parameters().items()
        if each.default is not None
    }
    _write(
        f"Reading default configuration from clary/algorithms/{spec.name}/default-input.json: {json.dumps(defaults)}"
    )
    _write(f"Merging with provided configuration from {layout.hyperparameters}: {json.dumps(given)}")


def _set_aside(spec: AlgorithmSpec, given: dict[str, Any]) -> dict[str, Any]:
    """The platform's own keys, which the final configuration shows although they change nothing."""
    declared = spec.hyperparameters.parameters()
    return {name: value for name, value in given.items() if name not in declared and name not in spec.aliases}


def _summary(spec: AlgorithmSpec, host: str, began: float) -> None:
    """The closing ``#metrics`` line, which has no prefix; times inside are milliseconds."""
    ended = time.time()
    spent = (ended - began) * 1000
    line = {
        "StartTime": began,
        "EndTime": ended,
        "Dimensions": {"Algorithm": spec.class_name, "Host": host, "Operation": "training"},
        "Metrics": {"totaltime": {"sum": spent, "count": 1, "min": spent, "max": spent}},
    }
    sys.stdout.write(f"#metrics {json.dumps(line)}\n")


def _seed() -> int:
    text = os.environ.get("CLARY_SEED", "").strip() or "0"
    if not text.isdecimal() or int(text) > MAX_SEED:
        raise UserError(f"CLARY_SEED must be an integer from 0 to {MAX_SEED}; got {text!r}")
    return int(text)


def _memory() -> int:
    """How much data to hold, in bytes: half of what the machine has, unless ``CLARY_MEMORY_MB`` says otherwise."""
    text = os.environ.get("CLARY_MEMORY_MB", "").strip()
    if not text:
        return machine.memory() // 2
    if not text.isdecimal() or not int(text):
        raise UserError(f"CLARY_MEMORY_MB must be a whole number of megabytes of at least 1; got {text!r}")
    return int(text) << 20


def _rendezvous() -> tuple[str, int] | None:
    text = os.environ.get("CLARY_RENDEZVOUS", "").strip()
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"CLARY_RENDEZVOUS must be host:port; got {text!r}")
    return host, int(port)


def _write_plain(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _write(text: str, level: str = "INFO") -> None:
    sys.stdout.write(f"{logs.line(text, level)}\n")
