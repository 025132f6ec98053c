"""What an algorithm promises, declared once: hyperparameters, channels, metrics, payloads, capabilities.

Standard library only, so that reading a declaration costs nothing. Validation and its messages, command-line
help, ``describe --json``, the SDK's classes, the docs' tables and the tests' cases are all read from here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from clary.toolkit.parameters import HyperparameterSet

Goal = Literal["Minimize", "Maximize"]


@dataclass(frozen=True)
class Metric:
    """A number that the log carries; the regular expression comes from the same format as the line.

    ``line`` holds ``{value}`` once, and may hold ``{host}``, ``{epoch}``, ``{batch}`` and other names for a word
    without blanks, and ``{others}`` for the rest of a line that carries several metrics. A tab may come as
    ``#011``, as the log service shows it. ``when`` completes "is reported ..." where it is not always.
    """

    name: str
    goal: Goal
    line: str
    doc: str
    when: str = ""

    def render(self, value: float, **where: Any) -> str:
        """The log line that reports the value."""
        return self.line.format(value=repr(float(value)), **where)

    @property
    def regex(self) -> str:
        """A pattern whose first group is the value, as metric definitions hold it."""
        pattern = re.sub(r"([.^$*+?()\[\]|\\])", r"\\\1", self.line)
        value = r"([^\s#]+)" if "\t" in self.line else r"(\S+)"
        pattern = pattern.replace("{value}", value).replace("{others}", ".*").replace("\t", r"(?:\t|#011)")
        return re.sub(r"\{[a-z_]+\}", lambda _: r"\S+", pattern)

    def describe(self) -> dict[str, Any]:
        """The stable description that ``clary describe --json`` prints."""
        return {"name": self.name, "goal": self.goal, "regex": self.regex, "when": self.when, "doc": self.doc}


# What ``Passes`` reports of itself; an algorithm that trains with it declares both.
PROGRESS = Metric(
    "train:progress",
    "Maximize",
    "#progress_metric: host={host}, completed {value} % of epochs",
    "Share of the epochs completed, in percent.",
    "after every epoch",
)
THROUGHPUT = Metric(
    "train:throughput",
    "Maximize",
    "#throughput_metric: host={host}, train throughput={value} records/second",
    "Training speed of an epoch, all hosts together.",
    "after every epoch",
)


@dataclass(frozen=True, kw_only=True)
class Channel:
    """An input of a training job; ``default_type`` is what a channel without ContentType holds.

    ``labeled`` says that its rows need labels although the algorithm does not learn from any.
    """

    name: str
    required: bool | str = False
    content_types: tuple[str, ...]
    default_type: str
    input_modes: tuple[str, ...] = ("File", "Pipe", "FastFile")
    labeled: bool = False
    doc: str

    def describe(self) -> dict[str, Any]:
        """The stable description that ``clary describe --json`` prints."""
        return {
            "name": self.name,
            "required": self.required,
            "content_types": list(self.content_types),
            "input_modes": list(self.input_modes),
            "doc": self.doc,
        }


@dataclass(frozen=True, kw_only=True)
class Field:
    """One value of an answer; ``shape`` is ``scalar``, ``vector``, or ``object`` for vectors by name."""

    name: str
    doc: str
    shape: Literal["scalar", "vector", "object"] = "scalar"
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Option:
    """Something that a caller may ask of an answer with a parameter of ``Accept``, as in ``;verbose=true``.

    ``variable`` is the environment variable that sets it for every answer of a server, where there is one;
    ``extension`` says that the managed algorithm does not have it.
    """

    name: str
    doc: str
    variable: str = ""
    extension: bool = False


@dataclass(frozen=True, kw_only=True)
class Payloads:
    """What an endpoint reads and answers; the first response type is the answer to ``*/*``.

    ``json_key`` is the member of a JSON answer that holds its records; where it is empty, the answer is their list.
    ``aliases`` maps short names that may stand for a content type to the type; the empty name is a request
    without one, which has the first request type otherwise.
    """

    requests: tuple[str, ...]
    responses: tuple[str, ...]
    fields: tuple[Field, ...]
    json_key: str = "predictions"
    options: tuple[Option, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What the algorithm can do on the platform; the exam and the images read this.

    ``deterministic``: the same seed gives the same model; ``random``: another seed gives another one;
    ``missing``: a value may be absent (an empty cell, NaN, null).
    """

    gpu: bool = False
    hosts: bool = False
    resumes: bool = False
    incremental: bool = False
    deterministic: bool = True
    random: bool = True
    supervised: bool = False
    missing: bool = False


@dataclass(frozen=True, kw_only=True)
class AlgorithmSpec:
    """Everything that an algorithm promises, in one value.

    ``name`` is the folder and Python name, ``repository`` the managed image name, ``title`` what people
    call it. ``inert`` maps hyperparameters of the managed platform that are accepted without effect to the
    reason; ``aliases`` maps further names to the hyperparameters that they stand for; ``measured`` maps
    hyperparameters that a client may fill in from the data to what they measure.
    """

    name: str
    repository: str
    title: str
    class_name: str
    summary: str
    tasks: tuple[str, ...]
    hyperparameters: type[HyperparameterSet]
    channels: tuple[Channel, ...]
    metrics: tuple[Metric, ...]
    payloads: Payloads
    capabilities: Capabilities
    extras: tuple[str, ...]
    inert: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    measured: Mapping[str, Literal["feature_dim", "mini_batch_size"]] = field(default_factory=dict)

    def channel(self, name: str) -> Channel | None:
        """The declared channel of that name, or None."""
        return next((channel for channel in self.channels if channel.name == name), None)

    def metric(self, name: str) -> Metric:
        """The declared metric of that name; KeyError if there is none."""
        found = next((metric for metric in self.metrics if metric.name == name), None)
        if found is None:
            raise KeyError(f"{self.name} declares no metric {name!r}")
        return found

    def parse(self, given: Mapping[str, object]) -> HyperparameterSet:
        """Read the contract's map of strings; raises HyperparameterError with every problem."""
        return self.hyperparameters.parse(given, inert=tuple(self.inert), aliases=self.aliases)

    def describe(self) -> dict[str, Any]:
        """The stable description that ``clary describe --json`` prints."""
        return {
            "name": self.name,
            "repository": self.repository,
            "title": self.title,
            "summary": self.summary,
            "tasks": list(self.tasks),
            "hyperparameters": [each.describe() for each in self.hyperparameters.parameters().values()],
            "channels": [each.describe() for each in self.channels],
            "metrics": [each.describe() for each in self.metrics],
            "inference": {
                "requests": list(self.payloads.requests),
                "responses": list(self.payloads.responses),
                "fields": [{"name": f.name, "shape": f.shape, "doc": f.doc} for f in self.payloads.fields],
                "options": [dataclasses.asdict(option) for option in self.payloads.options],
            },
            "capabilities": dataclasses.asdict(self.capabilities),
            "extras": list(self.extras),
            "accepted_without_effect": dict(self.inert),
            "aliases": dict(self.aliases),
        }
