"""Forecast jobs from Python: a table in, quantiles out, and the same job again on newer data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.toolkit.errors import UserError

if TYPE_CHECKING:
    from clary.forecast.archive import Kept
    from clary.forecast.forecasting import Update
    from clary.forecast.job import Result


class ForecastJob:
    """A job that has chosen its model. It prints as its leaderboard, and shows its report in a notebook."""

    def __init__(self, kept: Kept, result: Result | None = None, update: Update | None = None) -> None:
        self._kept, self._result, self._update = kept, result, update

    @property
    def chosen(self) -> str:
        """The name of the chosen model, such as ``ensemble``."""
        return self._kept.chosen

    @property
    def forecast(self) -> Any:
        """The forecast as a pandas data frame: what names a series, ``timestamp``, and a column for each quantile."""
        from clary.forecast.output import forecast_rows

        panel, settings = self._kept.panel, self._kept.settings
        rows = forecast_rows(panel, self._kept.forecast, settings.levels, settings.quantiles)
        return _frame(rows, times=("timestamp",))

    @property
    def leaderboard(self) -> Any:
        """The candidates and their scores as a pandas data frame, the best first."""
        from clary.forecast.output import leaderboard_rows

        return _frame(leaderboard_rows(self._found("leaderboard")), texts=("model", "chosen", "left_out"))

    @property
    def backtests(self) -> Any:
        """What the chosen model said at earlier times and what came, as a pandas data frame."""
        from clary.forecast.output import backtest_rows

        return _frame(backtest_rows(self._found("backtests")), times=("timestamp",))

    @property
    def repairs(self) -> list[str]:
        """What was decided or repaired while reading, a sentence each; rows that were left out come last."""
        findings = self._found("list of repairs").findings
        return [f"{each.source}: {each.text} ({each.count})" for each in findings.repairs] + [
            f"left out: {each}" for each in findings.rejections
        ]

    def report(self, path: str | Path) -> Path:
        """Write the report of a run or an update, one page that needs no network; its path comes back."""
        from clary.toolkit.artifact import write_whole

        write_whole(Path(path), self._page().encode())
        return Path(path)

    def save(self, folder: str | Path) -> Path:
        """Write all files of ``clary forecast run`` into the folder; the path of the artifact comes back."""
        from clary.forecast import archive, output

        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        if self._result is not None:
            output.write(self._result, place)
            self.report(place / output.REPORT)
        return archive.save(self._kept, place)

    @classmethod
    def load(cls, path: str | Path) -> ForecastJob:
        """The job of a ``model.tar.gz`` or the folder that holds it; it forecasts behind what it has seen."""
        from clary.forecast import archive

        kept = archive.load(Path(path))
        return cls(kept)

    def update(self, target: Any, *, related: Any = None) -> ForecastJob:
        """The job behind newer rows, with the parameters that it was fitted with; rows that are given again count."""
        from clary.forecast import forecasting

        found = forecasting.update(self._kept, target, related=related)
        return ForecastJob(found.kept, update=found)

    def __repr__(self) -> str:
        panel, settings = self._kept.panel, self._kept.settings
        text = f"ForecastJob of {len(panel):,} series, {settings.horizon} steps ahead by {self.chosen}"
        if self._result is None:
            return text
        lines = [
            f"  {entry.title:<24}{entry.scores.loss:.4f}"
            for entry in self._result.entries
            if entry.scores is not None
        ]
        return "\n".join([text, f"  {'model':<24}wQL", *lines])

    def _repr_html_(self) -> str:
        if self._result is None and self._update is None:
            return f"<p>{self!r}</p>"
        from html import escape

        inner = escape(self._page(), quote=True)
        return f'<iframe srcdoc="{inner}" width="100%" height="700" frameborder="0"></iframe>'

    def _page(self) -> str:
        from clary.forecast import report, update_report

        if self._update is not None:
            return update_report.page(self._update)
        return report.page(self._found("report"))

    def _found(self, what: str) -> Result:
        if self._result is None:
            raise UserError(f"a job that was loaded or updated has no {what}; it is with the job that was run")
        return self._result


def forecast(
    target: Any,
    *,
    horizon: int,
    frequency: str | None = None,
    related: Any = None,
    items: Any = None,
    quantiles: Sequence[float] = (0.1, 0.5, 0.9),
    models: str | Sequence[str] = "auto",
    budget: str | float | None = None,
    item: str | None = None,
    timestamp: str | None = None,
    value: str | None = None,
    dimensions: Sequence[str] = (),
    ignore: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
    **settings: Any,
) -> ForecastJob:
    """A job that has backtested all candidates on the target, chosen one and forecast ``horizon`` steps with it.

    Tables are paths of CSV files, or data frames. ``item``, ``timestamp`` and ``value`` name columns that are called
    otherwise; ``settings`` are the further options of ``clary forecast run``: ``windows``, ``layout``, ``aggregate``,
    ``fill``, ``fill_end``, ``fill_related``, ``timestamp_format``, ``bad_rows`` and ``seed``. ``progress`` is
    called with a line for each candidate.
    UserError says what is wrong with a table or an option.
    """
    from clary.forecast import archive, forecasting
    from clary.forecast import settings as choices

    if strangers := set(settings) - _FURTHER:
        raise UserError(
            f"forecast has no option {', '.join(sorted(strangers))}; further ones are {', '.join(sorted(_FURTHER))}"
        )
    roles = choices.Roles(
        item=item, timestamp=timestamp, target=value, dimensions=tuple(dimensions), ignored=tuple(ignore)
    )
    chosen = choices.Settings(
        horizon=horizon,
        frequency=frequency,
        quantiles=tuple(sorted(set(quantiles))),
        models=choices.models(models),
        budget=None if budget is None else choices.seconds(budget),
        roles=roles,
        **settings,
    )
    watcher = None if progress is None else _Lines(progress)
    result = forecasting.forecast(target, chosen, related=related, items=items, watcher=watcher)
    return ForecastJob(archive.Kept.of(result), result)


_FURTHER = {
    "windows",
    "layout",
    "aggregate",
    "fill",
    "fill_end",
    "fill_related",
    "timestamp_format",
    "bad_rows",
    "seed",
}


class _Lines:
    """Passes on a line for each candidate."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def begin(self, name: str, title: str) -> None:
        pass

    def tell(self, done: int, of: int) -> None:
        pass

    def end(self, entry: Any) -> None:
        found = f"left out: {entry.left_out}" if entry.scores is None else f"wQL {entry.scores.loss:.4f}"
        self._say(f"{entry.title}: {found}")


def _frame(rows: Iterable[Sequence[Any]], times: Sequence[str] = (), texts: Sequence[str] = ()) -> Any:
    """A pandas data frame of rows whose first is the header; all but times, texts and names of series are numbers."""
    try:
        import pandas
    except ImportError as error:
        raise UserError("data frames need pandas: pip install 'clary[forecast]'") from error
    header, *body = rows
    frame = pandas.DataFrame(body, columns=header)
    names = header[: header.index("timestamp")] if "timestamp" in header else []
    for name in header:
        if name in times:
            frame[name] = pandas.to_datetime(frame[name])
        elif name not in (*texts, *names):
            frame[name] = pandas.to_numeric(frame[name])
    return frame
