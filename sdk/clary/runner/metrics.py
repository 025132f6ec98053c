"""Numbers found in log lines by the declared patterns: a history for each metric, as text, table and JSON."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clary.toolkit.spec import Metric

# As most algorithms write it, and as a line of XGBoost begins; its tab may come as the log service writes one.
_EPOCH = re.compile(r"\bepoch=(\d+)|(?:^|\s)\[(\d+)\](?:\t|#011)")


@dataclass(frozen=True)
class Point:
    """One reported value, when it was reported (seconds since 1970), and in which epoch if the line says so."""

    value: float
    time: float
    epoch: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The point as metrics.json holds it; ``epoch`` only where it is known."""
        return {"value": _spelled(self.value), "time": self.time} | (
            {} if self.epoch is None else {"epoch": self.epoch}
        )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Point:
        """The point that ``as_json`` described."""
        return cls(float(content["value"]), content["time"], content.get("epoch"))


@dataclass
class History:
    """All values of one metric, in the order of the log; ``goal`` says which direction is better."""

    name: str
    goal: str
    points: list[Point] = field(default_factory=list)

    @property
    def value(self) -> float:
        """The last value, which the platform calls final."""
        return self.points[-1].value

    @property
    def values(self) -> list[float]:
        """Every value."""
        return [point.value for point in self.points]

    @property
    def best(self) -> Point:
        """The best value, by the goal; the first of equal ones."""
        pick = min if self.goal == "Minimize" else max
        known = [point for point in self.points if not math.isnan(point.value)]
        return pick(known or self.points, key=lambda point: point.value)

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)

    def __repr__(self) -> str:
        more = f" after {len(self)} reports" if len(self) > 1 else ""
        return f"{self.name} = {self.value:g}{more} ({self.goal.lower()})"


class Metrics(Mapping[str, History]):
    """The histories of a job's metrics by name; those that were never reported are absent."""

    def __init__(self, histories: Iterable[History] = ()) -> None:
        self._histories = {history.name: history for history in histories}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Metrics:
        """The metrics that ``as_json`` described."""
        return cls(
            History(name, entry["goal"], [Point.from_json(point) for point in entry["history"]])
            for name, entry in content.items()
        )

    def as_json(self) -> dict[str, Any]:
        """``{metric: {"goal", "value", "history": [{"value", "time", "epoch"}]}}``, as metrics.json holds it."""
        return {
            name: {
                "goal": history.goal,
                "value": _spelled(history.value),
                "history": [point.as_json() for point in history],
            }
            for name, history in self.items()
        }

    def __getitem__(self, name: str) -> History:
        if name not in self._histories:
            raise KeyError(f"no metric {name!r} was reported; there are {', '.join(self._histories) or 'none'}")
        return self._histories[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._histories)

    def __len__(self) -> int:
        return len(self._histories)

    def __repr__(self) -> str:
        if not self._histories:
            return "no metrics yet"
        wide = max(map(len, self._histories))
        rows = (f"{h.name:<{wide}}  {h.value:>14.6g}  {h.goal:<8}  {len(h):>7}" for h in self.values())
        return "\n".join([f"{'metric':<{wide}}  {'value':>14}  {'goal':<8}  reports", *rows])

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        rows = "".join(
            f"<tr><td>{html.escape(h.name)}</td><td>{h.value:g}</td><td>{h.goal}</td><td>{len(h)}</td></tr>"
            for h in self.values()
        )
        return f"<table><tr><th>metric</th><th>value</th><th>goal</th><th>reports</th></tr>{rows}</table>"


class Extractor:
    """Reads log lines, one at a time, and keeps the values of the declared metrics."""

    def __init__(self, definitions: Sequence[Metric]) -> None:
        self._patterns = [(metric.name, re.compile(metric.regex)) for metric in definitions]
        self._histories = {metric.name: History(metric.name, metric.goal) for metric in definitions}

    def read(self, text: str, time: float) -> list[str]:
        """Keep what the line reports; the names of the metrics that it reports come back."""
        reported = []
        for name, pattern in self._patterns:
            match = pattern.search(text)
            value = None if match is None else _number(match.group(1))
            if value is not None:
                self._histories[name].points.append(Point(value, time, _epoch(text)))
                reported.append(name)
        return reported

    @property
    def metrics(self) -> Metrics:
        """What has been reported so far."""
        return Metrics(history for history in self._histories.values() if history.points)


def _epoch(text: str) -> int | None:
    found = _EPOCH.search(text)
    return None if found is None else int(found.group(1) or found.group(2))


def _spelled(value: float) -> float | str:
    """JSON has no word for what is not finite, so such a value is a text: ``nan``, ``inf``, ``-inf``."""
    return value if math.isfinite(value) else str(value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
