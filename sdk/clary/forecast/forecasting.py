"""What one can ask for: a job from a target and what comes with it, and new forecasts of a job on newer data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clary.forecast import calibration, companions, ensemble, intake, job, table, wide
from clary.forecast.archive import Kept
from clary.forecast.candidates.candidate import State
from clary.forecast.candidates.suite import CANDIDATES
from clary.forecast.clock import Clock
from clary.forecast.findings import Findings
from clary.forecast.panel import Panel
from clary.forecast.settings import Roles, Settings
from clary.forecast.table import Table
from clary.forecast.workers import Workers
from clary.toolkit.errors import UserError

Array = npt.NDArray[Any]
Input = str | Path | Any


@dataclass(frozen=True)
class Update:
    """New forecasts (N, H, Q) of a job behind newer points, of which ``added`` came to the last one's.

    ``expected`` (N, A, Q) is what the last forecast said of them as far as it reached, and ``came`` (N, A) they are.
    """

    kept: Kept
    findings: Findings
    added: int
    expected: Array
    came: Array

    @property
    def forecast(self) -> Array:
        """The forecast (N, H, Q)."""
        return self.kept.forecast


def forecast(
    target: Input,
    settings: Settings,
    *,
    related: Input | None = None,
    items: Input | None = None,
    watcher: job.Watcher | None = None,
    clock: Clock | None = None,
) -> job.Result:
    """The result of a job on these tables; UserError says what is wrong with them."""
    clock = clock or Clock(settings.budget)
    findings = Findings()
    with Workers() as workers:
        if any(CANDIDATES[name].parallel for name in settings.models):
            workers.start()
        panel, columns = intake.panel(table.read(target, findings, "the target"), settings, findings)
        if items is not None:
            panel = companions.with_items(panel, table.read(items, findings, "the items"), columns, findings)
        else:
            panel = companions.with_dimensions(panel)
        if related is not None:
            features = table.read(related, findings, "the related series")
            panel = companions.with_related(panel, features, columns, settings, findings)
        return job.run(panel, columns, settings, findings, clock, watcher or job.Silent(), workers)


def update(kept: Kept, target: Input, *, related: Input | None = None) -> Update:
    """Forecasts of a job's series behind newer points, with the parameters that it was fitted with.

    The target may hold new rows only, or old ones, too: a row that is given again counts.
    """
    findings, settings = Findings(), kept.settings
    given = table.read(target, findings, "the target")
    if kept.columns.wide:
        given = wide.long(given, Roles(timestamp=kept.columns.timestamp, ignored=settings.roles.ignored), findings)
    roles = _roles(kept, given)
    rows = intake.usable(given, replace(settings, roles=roles), findings)
    panel = intake.on_grid(given.source, rows, kept.panel.grid, settings, findings, before=kept.panel)
    panel = replace(panel, names=kept.panel.names, statics=kept.panel.statics)
    if kept.panel.related is not None:
        panel = _with_features(kept, panel, related, findings)
    elif related is not None:
        raise UserError("the job was fitted without related time series; leave --related out, or run the job again")
    later = replace(kept, panel=panel)
    added = panel.end - kept.panel.end
    reached = min(added, settings.horizon)
    came = panel.actual(kept.panel.end, reached)
    return Update(replace(later, forecast=again(later)), findings, added, kept.forecast[:, :reached], came)


def again(kept: Kept) -> Array:
    """The calibrated forecast (N, H, Q) behind the end of the kept panel."""
    settings, panel = kept.settings, kept.panel
    levels = settings.levels
    fallback = CANDIDATES[job.FALLBACK].again(State(), panel, settings.horizon, levels)
    found: dict[str, Array] = {}
    bounded = all(values.min() >= 0 for values in panel.values)
    for name in kept.weights:
        raw = CANDIDATES[name].again(kept.states[name], panel, settings.horizon, levels)
        raw = np.where(np.isfinite(raw), raw, fallback)
        raw = np.sort(np.maximum(raw, 0.0) if bounded else raw, axis=-1)
        found[name] = calibration.scaled(raw, levels, kept.factors[name])
    if kept.chosen != ensemble.NAME:
        mixed = found[kept.chosen]
    else:
        mixed = calibration.scaled(ensemble.combined(found, kept.weights), levels, kept.factors[ensemble.NAME])
    return np.maximum(mixed, 0.0) if bounded else mixed


def _roles(kept: Kept, given: Table) -> Roles:
    """The columns of the job, which newer data must have again; those it had beside may be there or not."""
    columns = kept.columns
    wanted = [name for name in (columns.item, columns.timestamp, columns.target, *columns.dimensions) if name]
    if lacking := [name for name in wanted if name not in given.columns]:
        raise UserError(
            f"{given.source} lacks the column {', '.join(lacking)}, which the job was fitted with; it has "
            f"{', '.join(given.names)}"
        )
    rest = tuple(name for name in given.names if name not in wanted)
    return Roles(
        item=columns.item or None,
        timestamp=columns.timestamp,
        target=columns.target,
        dimensions=columns.dimensions,
        ignored=rest,
    )


def _with_features(kept: Kept, panel: Panel, related: Input | None, findings: Findings) -> Panel:
    """The panel with the job's features, those of the new steps from the newer table."""
    before, horizon = kept.panel.related, kept.settings.horizon
    assert before is not None
    if related is None:
        raise UserError("the job was fitted with related time series; give those of the new steps with --related")
    features = table.read(related, findings, "the related series")
    newer = companions.with_related(panel, features, kept.columns, kept.settings, findings).related
    assert newer is not None
    if newer.names != before.names:
        raise UserError(
            f"{features.source} has the features {', '.join(newer.names)}; the job was fitted with "
            f"{', '.join(before.names)}"
        )
    if lacking := [n for n, was, now in zip(before.names, before.known, newer.known, strict=True) if was and not now]:
        raise UserError(
            f"{features.source} must hold {', '.join(lacking)} for the {horizon} steps behind "
            f"{panel.grid.texts([panel.end - 1])[0]}, as it did when the job was fitted"
        )
    values = []
    for row, new in enumerate(newer.values):
        old = before.values[row]
        whole = np.array(new)
        kept_steps = min(len(old), len(whole)) if all(before.known) else min(len(kept.panel.values[row]), len(whole))
        whole[:kept_steps] = old[:kept_steps]
        values.append(whole)
    return replace(panel, related=replace(before, values=tuple(values)))
