"""A job from a table to its files, and again on newer data."""

from __future__ import annotations

import csv
import re
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clary.forecast import archive, forecasting, output, report, update_report
from clary.forecast.clock import Clock
from clary.forecast.job import Result
from clary.forecast.settings import Settings, models, quantiles, seconds
from clary.sdk import ForecastJob, forecast
from clary.toolkit.errors import UserError
from command import clary

QUICK = ("seasonal_naive", "npts")
HORIZON = 7


def sales(path: Path, days: int = 100, items: int = 6, *, begin: int = 0, extra: str = "") -> Path:
    """Daily sales with a rhythm of weeks."""
    rng, first = np.random.default_rng(0), np.datetime64("2024-01-01")
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["item_id", "timestamp", "target_value"])
        for item in range(items):
            values = np.maximum(0, 20 * (item + 1) + 8 * (np.arange(days) % 7 > 4) + rng.normal(size=days) * 3)
            for day in range(begin, days):
                writer.writerow([f"i{item}{extra}", first + day, f"{values[day]:.2f}"])
    return path


def run(path: Path, **settings: Any) -> Result:
    return forecasting.forecast(path, Settings(**{"horizon": HORIZON, "models": QUICK, **settings}))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return run(sales(tmp_path_factory.mktemp("job") / "sales.csv"))


def test_the_forecast_follows_the_last_row_and_its_quantiles_rise(result: Result) -> None:
    rows = list(output.forecast_rows(result.panel, result.forecast, result.settings.levels, (0.1, 0.5, 0.9)))
    assert rows[0] == ["item_id", "timestamp", "p10", "p50", "p90"]
    assert len(rows) == 1 + 6 * HORIZON
    assert rows[1][:2] == ["i0", "2024-04-10"]
    assert (np.diff(result.forecast, axis=-1) >= 0).all()


def test_the_leaderboard_is_sorted_and_holds_every_candidate(result: Result) -> None:
    losses = [entry.scores.loss for entry in result.entries if entry.scores]
    assert losses == sorted(losses)
    assert {entry.name for entry in result.entries} == {*QUICK, "ensemble"}
    assert result.entry.scores is not None
    assert 0.6 < result.entry.scores.between(0.1, 0.9) < 0.95


def test_the_report_is_one_page_without_network_or_script(result: Result) -> None:
    page = report.page(result)
    assert not re.search(r"https?://|<script|<link|src=|@import|url\(", page)
    assert page.count("<svg") >= 8
    assert all(f'<td class="text">{entry.title}</td>' in page for entry in result.entries)


def test_names_in_a_report_cannot_be_markup(tmp_path: Path) -> None:
    page = report.page(run(sales(tmp_path / "sales.csv", items=2, extra="<b>&")))
    assert "i0&lt;b&gt;&amp;" in page
    assert "<b>&" not in page


def test_a_job_that_was_kept_forecasts_the_same(result: Result, tmp_path: Path) -> None:
    kept = archive.load(archive.save(archive.Kept.of(result), tmp_path))
    np.testing.assert_allclose(forecasting.again(kept), result.forecast, rtol=1e-12)
    with tarfile.open(tmp_path / archive.MODEL) as tar:
        assert sorted(tar.getnames()) == ["job.json", "model.json", "model.safetensors"]


def test_an_update_goes_on_where_the_job_ended(result: Result, tmp_path: Path) -> None:
    newer = sales(tmp_path / "newer.csv", days=103, begin=98)
    found = forecasting.update(archive.Kept.of(result), newer)
    assert found.added == 3
    assert found.forecast.shape == result.forecast.shape
    assert found.kept.panel.values[0][-1] == pytest.approx(float(newer.read_text().splitlines()[5].split(",")[2]))
    assert found.kept.panel.grid.texts([found.kept.panel.end])[0] == "2024-04-13"


def test_the_report_of_an_update_says_how_the_last_forecast_did(result: Result, tmp_path: Path) -> None:
    found = forecasting.update(archive.Kept.of(result), sales(tmp_path / "newer.csv", days=103, begin=98))
    np.testing.assert_array_equal(found.expected, result.forecast[:, :3])
    np.testing.assert_array_equal(found.came[0], found.kept.panel.values[0][-3:])
    page = update_report.page(found)
    assert "Since the last forecast" in page
    assert not re.search(r"https?://|<script|<link|src=|@import|url\(", page)
    unchanged = forecasting.update(archive.Kept.of(result), sales(tmp_path / "same.csv", begin=98))
    assert "Since the last forecast" not in update_report.page(unchanged)


def test_a_wide_table_goes_on_as_a_wide_table(tmp_path: Path) -> None:
    days = [np.datetime64("2024-01-01") + day for day in range(63)]
    lines = [f"{day},{10 + n % 7},{20 + n % 7},{30 - n % 7}\n" for n, day in enumerate(days)]
    (tmp_path / "old.csv").write_text("day,a,b,c\n" + "".join(lines[:60]))
    (tmp_path / "new.csv").write_text("day,c,a,b\n" + "".join(lines[60:]))
    found = run(tmp_path / "old.csv")
    assert found.panel.keys == (("a",), ("b",), ("c",))
    kept = archive.load(archive.save(archive.Kept.of(found), tmp_path))
    newer = forecasting.update(kept, tmp_path / "new.csv")
    assert newer.added == 3
    assert newer.came[0, 0] == 20 + 60 % 7


def test_an_update_with_another_table_is_refused(result: Result, tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("sku,timestamp,target_value\na,2024-04-10,4\n")
    with pytest.raises(UserError, match="lacks the column item_id, which the job was fitted with; it has sku"):
        forecasting.update(archive.Kept.of(result), path)


def test_series_that_the_job_does_not_know_are_left_out_and_named(result: Result, tmp_path: Path) -> None:
    path = sales(tmp_path / "new.csv", days=101, begin=100)
    path.write_text(path.read_text() + "stranger,2024-04-10,5\n")
    found = forecasting.update(archive.Kept.of(result), path)
    assert len(found.kept.panel) == 6
    assert "stranger" in str(found.findings.repairs)


def test_series_that_are_too_short_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="too short to compare forecasts of 7 steps"):
        run(sales(tmp_path / "short.csv", days=6))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"horizon": 0}, "horizon must be from 1 to 1000 steps; got 0"),
        ({"quantiles": (0.1, 1.2)}, "quantiles must lie above 0 and below 1; got 1.2"),
        ({"models": ("prophet",)}, "models must be among auto, statistical.*; got prophet"),
        ({"budget": 1.0}, "budget must be 5 seconds at least"),
        ({"aggregate": "mode"}, "aggregate must be one of sum.*; got 'mode'"),
        ({"fill": "guess"}, "fill must be a number or one of auto.*; got 'guess'"),
        ({"windows": 0}, "windows must be from 1 to 20"),
    ],
)
def test_wrong_settings_are_refused_by_name(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Settings(**{"horizon": HORIZON, **wrong})


def test_settings_are_read_as_people_write_them() -> None:
    assert seconds("5m") == 300
    assert seconds("1.5h") == 5400
    assert quantiles("0.9, 0.1") == (0.1, 0.9)
    assert models("trees,theta") == ("theta", "trees")
    with pytest.raises(UserError, match="wants a time such as 60s"):
        seconds("soon")


def test_a_budget_is_shared_out_among_what_is_left() -> None:
    clock = Clock(100.0)
    share = clock.share(["theta", "deepar"])
    assert share is not None
    assert 15 < share - time.monotonic() < 60
    assert clock.share(["deepar"]) == pytest.approx(clock.end or 0, abs=0.1)
    assert Clock(None).share(["deepar"]) is None


def test_the_same_from_python(tmp_path: Path) -> None:
    said: list[str] = []
    job = forecast(sales(tmp_path / "sales.csv"), horizon=HORIZON, models=QUICK, progress=said.append)
    assert list(job.forecast.columns) == ["item_id", "timestamp", "p10", "p50", "p90"]
    assert job.leaderboard.iloc[0]["model"] in (*QUICK, "ensemble")
    assert len(said) == 2
    job.save(tmp_path / "out")
    again = ForecastJob.load(tmp_path / "out")
    assert again.forecast.equals(job.forecast)
    with pytest.raises(UserError, match="has no leaderboard"):
        _ = again.leaderboard
    newer = sales(tmp_path / "newer.csv", days=101, begin=100)
    assert again.update(newer).forecast["timestamp"].min() > job.forecast["timestamp"].min()


def test_features_known_ahead_help_and_are_asked_for_again(tmp_path: Path) -> None:
    target, related = sales(tmp_path / "sales.csv"), tmp_path / "related.csv"
    days = [str(np.datetime64("2024-01-01") + day) for day in range(107)]
    lines = [f"{day},{number % 5},{'yes' if number % 9 == 0 else 'no'}" for number, day in enumerate(days)]
    related.write_text("timestamp,price,promotion\n" + "\n".join(lines) + "\n")
    settings = Settings(horizon=HORIZON, models=QUICK)
    found = forecasting.forecast(target, settings, related=related)
    assert found.panel.related is not None
    assert found.panel.related.names == ("price", "promotion=no", "promotion=yes")
    assert all(found.panel.related.known)
    newer = sales(tmp_path / "newer.csv", days=101, begin=100)
    with pytest.raises(UserError, match="give those of the new steps with --related"):
        forecasting.update(archive.Kept.of(found), newer)
    with pytest.raises(UserError, match=r"must hold price.* for the 7 steps behind 2024-04-10"):
        forecasting.update(archive.Kept.of(found), newer, related=_cut(related, tmp_path, 100))


def _cut(path: Path, folder: Path, rows: int) -> Path:
    cut = folder / "cut.csv"
    cut.write_text("\n".join(path.read_text().splitlines()[: rows + 1]) + "\n")
    return cut


def test_the_command_writes_all_files_and_goes_on(tmp_path: Path) -> None:
    sales(tmp_path / "sales.csv")
    sales(tmp_path / "newer.csv", days=102, begin=100)
    arguments = ["--horizon", "7", "--models", "seasonal_naive,npts", "--output", "out"]
    done = clary("forecast", "run", "sales.csv", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Seasonal naive: wQL" in done.stderr
    assert "Leaderboard" in done.stdout
    files = {"forecast.csv", "leaderboard.csv", "backtests.csv", "report.html", "summary.json", "model.tar.gz"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == files
    done = clary("forecast", "update", "out", "newer.csv", "--output", "next", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "go on for 2 steps to 2024-04-11" in done.stdout
    assert {path.name for path in (tmp_path / "next").iterdir()} == {"forecast.csv", "report.html", "model.tar.gz"}


def test_the_command_refuses_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("item_id,timestamp,target_value\na,2024-01-01,5\na,2024-01-02,many\n")
    done = clary("forecast", "run", "bad.csv", "--horizon", "2", cwd=tmp_path)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("clary: bad.csv, line 3, column target_value: 'many' is no number")


@pytest.mark.slow
def test_deepar_learns_within_a_job_and_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("numba")
    result = run(sales(tmp_path / "sales.csv"), models=("seasonal_naive", "deepar"), windows=2, budget=100.0)
    deepar = next(entry for entry in result.entries if entry.name == "deepar")
    assert deepar.scores is not None, deepar.left_out
    assert deepar.scores.wape < 0.3
    kept = archive.load(archive.save(archive.Kept.of(result), tmp_path))
    newer = forecasting.update(kept, sales(tmp_path / "newer.csv", days=105, begin=100))
    assert np.isfinite(newer.forecast).all()


@pytest.mark.slow
def test_statistical_candidates_and_trees_work_together_and_without_fitting(tmp_path: Path) -> None:
    pytest.importorskip("statsforecast")
    pytest.importorskip("xgboost")
    chosen = ("seasonal_naive", "theta", "ets", "trees", "arima")
    result = run(sales(tmp_path / "sales.csv"), models=chosen, windows=2, budget=100.0)
    assert {entry.name for entry in result.entries if entry.scores} >= {"theta", "ets", "arima", "seasonal_naive"}
    kept = archive.load(archive.save(archive.Kept.of(result), tmp_path))
    np.testing.assert_allclose(forecasting.again(kept), result.forecast, rtol=1e-6, atol=1e-6)
    newer = forecasting.update(kept, sales(tmp_path / "newer.csv", days=105, begin=100))
    assert np.isfinite(newer.forecast).all()
    assert np.abs(newer.forecast[..., 1] - result.forecast[..., 1]).mean() < 10
