"""The command as a whole: exit statuses, one line for each failure, a quick start, and quiet ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from clary.cli.main import run
from command import PROGRAM, clary
from exam.programs import clean_environment


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["describe"],
        ["describe", "kmean"],
        ["describe", "kmeans", "--no-such-option"],
        ["train", "kmean", "--train", "rows.csv"],
        ["train", "kmeans"],
        ["train", "kmeans", "--train", "rows.csv", "-p", "k"],
        ["train", "kmeans", "--train", "rows.csv", "-p", "k=2", "-p", "k=3"],
        ["train", "kmeans", "--train", "rows.csv", "--hosts", "0"],
        ["train", "kmeans", "--train", "rows.csv", "--seed", "-1"],
        ["train", "kmeans", "--train", "rows.csv", "--input-mode", "Telepathy"],
        ["train", "kmeans", "--train", "rows.csv", "--content-type", "test=text/csv", "-p", "k=2"],
        ["serve", "model.tar.gz", "--port", "99999"],
        ["predict", "model.tar.gz"],
        ["data", "sample", "no-such-sample", "rows.csv"],
    ],
)
def test_wrong_usage_ends_with_status_2_and_says_what_is_wrong(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert "Error: " in said.err
    assert said.out == ""


def test_an_unknown_algorithm_is_answered_with_the_suite(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "means"]) == 2
    refusal = capsys.readouterr().err
    assert "'means' is not an algorithm of this suite; it has " in refusal
    assert "kmeans" in refusal


@pytest.mark.parametrize(
    ("arguments", "reasons"),
    [
        (["train", "kmeans", "--train", "gone.csv", "-p", "k=2"], ["channel train", "gone.csv"]),
        (["train", "kmeans", "--train", "rows.csv"], ["'k'", "must be set"]),
        (["train", "kmeans", "--train", "rows.csv", "-p", "k=0"], ["k must be an integer at least 1; got '0'"]),
        (
            ["train", "kmeans", "--train", "gone.csv", "-p", "k=none", "-p", "kk=3", "-p", "epochs=0"],
            ["k must be", "kk is not a hyperparameter", "epochs must be"],
        ),
        (["train", "kmeans", "--train", "rows.csv", "-p", "k=2", "--channel", "teach=rows.csv"], ["'teach'", "test"]),
        (["train", "kmeans", "--train", "rows.csv", "-p", "k=2", "--content-type", "text/html"], ["text/html"]),
        (["train", "kmeans", "--train", "headed.csv", "-p", "k=2"], ["headed.csv", "row 1", "header"]),
        (["train", "kmeans", "--train", "rows.csv", "-p", "k=2", "--output", "rows.csv"], ["rows.csv", "written"]),
        (["predict", "gone.tar.gz", "rows.csv"], ["gone.tar.gz"]),
        (["predict", "rows.csv", "rows.csv"], ["rows.csv", "model archive"]),
        (["predict", ".", "rows.csv"], ["model.json"]),
        (["serve", "gone.tar.gz"], ["gone.tar.gz"]),
        (["data", "convert", "gone.csv", "rows.recordio"], ["gone.csv"]),
        (["data", "convert", "rows.csv", "rows.xyz"], ["rows.xyz", "--to"]),
        (["data", "convert", "headed.csv", "rows.recordio"], ["headed.csv", "row 1"]),
    ],
)
def test_wrong_input_ends_with_status_1_and_one_line_that_names_it(
    arguments: list[str],
    reasons: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("1,2\n3,4\n5,6\n")
    Path("headed.csv").write_text("height,width\n1,2\n3,4\n")
    assert run(arguments) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("clary: ")
    assert [reason for reason in reasons if reason not in said[0]] == []


def test_the_traceback_is_for_who_asks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "gone.tar.gz", "rows.csv", "--verbose"]) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("clary: there is no model at gone.tar.gz")


@pytest.mark.parametrize("arguments", [["--help"], ["describe", "kmeans"], ["train", "kmeans", "--help"]])
def test_help_and_describe_load_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys; from clary.cli.main import run; "
        f"status = run({arguments!r}); "
        "heavy = {'numpy', 'rich', 'boto3', 'pyarrow', 'scipy', 'sklearn'} & set(sys.modules); "
        "sys.exit(f'loaded {heavy}' if heavy or status else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=clean_environment(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = [*PROGRAM, "describe", "kmeans", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_letters_that_a_console_lacks_are_replaced() -> None:
    done = clary("describe", "kmeans", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "kmeans" in done.stdout


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert run(["--version"]) == 0
    assert version("clary") in capsys.readouterr().out
