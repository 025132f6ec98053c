"""Training reaches its score, repeats itself, and reads every form of input alike."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from clary.algorithms import registry
from clary.toolkit import media
from clary.toolkit.media import MediaType
from clary.toolkit.spec import AlgorithmSpec
from exam import legal, material
from exam.asking import of_numbers
from exam.endpoint import Answer, rows
from exam.jobs import FEW, laid_out, loadable, needs_fifos, of_rows, reaches, score
from exam.pipes import feeding
from exam.room import Outcome, Room, TrainOnce, furnished

FOLDERS = ("a", "b/c", "b/d.csv", "e/f/g")


# Results


def test_the_example_reaches_its_score(trained: Outcome, algorithm: AlgorithmSpec) -> None:
    assert reaches(trained), f"{score(trained)} does not reach {registry.example(algorithm.name).reach}"


def test_every_declared_metric_appears_in_the_log(
    trained: Outcome, train_once: TrainOnce, algorithm: AlgorithmSpec
) -> None:
    always = {metric.name for metric in algorithm.metrics if not metric.when}
    assert {name for name in always if not trained.metrics[name]} == set()
    found = [trained.metrics, *(train_once(name).metrics for name in registry.example(algorithm.name).variants)]
    assert [name for name in trained.metrics if not any(each[name] for each in found)] == []
    values = [value for each in found for several in each.values() for value in several]
    assert all(value == value for value in values)


def test_a_variant_leaves_a_model_that_answers(train_once: TrainOnce, algorithm: AlgorithmSpec, variant: str) -> None:
    predictor = registry.predictor(algorithm.name).load(train_once(variant).artifact(), "cpu")
    few = range(min(5, material.job(algorithm, variant).at_once))
    for kind in algorithm.payloads.requests:
        body = material.body(algorithm, kind, few, variant=variant)
        answer = predictor.predict(predictor.decode(body, MediaType.parse(kind)))
        names: set[str] = set()
        for accept in sorted(algorithm.payloads.responses, key=lambda name: name == media.CSV):
            written = Answer(200, accept, predictor.encode(answer, MediaType(accept)))
            records = rows(algorithm, written, names)
            names = set(records[0])
            assert len(records) == len(few)
            assert all(np.isfinite(values).all() for record in records for values in record.values())
        declared = {field.name: field.optional for field in algorithm.payloads.fields}
        assert {name for name, optional in declared.items() if not optional} <= names <= set(declared)


def test_the_log_has_the_lines_of_the_contract(trained: Outcome, algorithm: AlgorithmSpec) -> None:
    lines = trained.log.splitlines()
    starts = ("Reading default configuration from", "Merging with provided configuration", "Final configuration: {")
    for line, start in zip(lines, starts, strict=False):
        assert re.match(r"\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d INFO \d+\] " + start, line), line
    assert lines[-1].startswith("#metrics {")


def test_the_same_seed_gives_the_same_model(room: Room, algorithm: AlgorithmSpec, tmp_path: Path) -> None:
    first, second = (laid_out(furnished(algorithm, tmp_path / name), most=FEW) for name in "ab")
    model = first.train(CLARY_SEED="7").succeeded().model
    assert second.train(CLARY_SEED="7").succeeded().model == model


def test_a_model_does_not_depend_on_the_process_that_makes_it(
    trained: Outcome, room: Room, algorithm: AlgorithmSpec
) -> None:
    outcome = laid_out(room).start(PYTHONHASHSEED="99").outcome().succeeded()
    assert outcome.model == trained.model


@pytest.mark.only_if("random")
def test_another_seed_gives_another_model(room: Room, algorithm: AlgorithmSpec) -> None:
    laid_out(room, most=FEW)
    models = [room.train(CLARY_SEED=seed).succeeded().model for seed in ("1", "2", "3")]
    assert models[0] != models[1] or models[0] != models[2]


# Forms of input


def test_each_accepted_format_gives_the_same_model(room: Room, algorithm: AlgorithmSpec, channel: str) -> None:
    laid_out(room, most=FEW)
    expected = room.train().succeeded()
    for content_type in material.content_types(algorithm, channel):
        room.channel(channel, material.files(algorithm, channel, content_type, most=FEW), content_type)
        outcome = room.train().succeeded()
        assert outcome.model == expected.model, content_type
        assert score(outcome) == pytest.approx(score(expected), rel=1e-6)


def test_a_channel_without_content_type_holds_the_default_type(room: Room, algorithm: AlgorithmSpec) -> None:
    expected = laid_out(room, most=FEW).train().succeeded().model
    for channel in algorithm.channels:
        if channel.name in room.settings:
            room.channel(channel.name, {}, channel.default_type)
    assert room.train().succeeded().model == expected


def test_gzip_files_give_the_same_model(room: Room, algorithm: AlgorithmSpec) -> None:
    of_rows(algorithm)
    expected = laid_out(room, most=FEW).train().succeeded().model
    for channel in material.channels(algorithm):
        files = material.files(algorithm, channel, most=FEW)
        room.channel(channel, {name: gzip.compress(content) for name, content in files.items()})
    assert room.train().succeeded().model == expected


def test_several_files_in_nested_folders_give_the_same_model(
    room: Room, algorithm: AlgorithmSpec, tmp_path: Path
) -> None:
    of_rows(algorithm)
    expected = laid_out(room, most=FEW).train().succeeded().model
    other = furnished(algorithm, tmp_path / "other")
    for channel in material.channels(algorithm):
        files = material.files(algorithm, channel, parts=4, most=FEW)
        nested = {f"{folder}/{name}": files[name] for folder, name in zip(FOLDERS, sorted(files), strict=True)}
        other.channel(channel, {**nested, ".manifest": b"hidden", "_SUCCESS": b"", ".git/x": b"hidden"})
    assert other.train().succeeded().model == expected


@pytest.mark.only_if("FastFile")
def test_fast_file_mode_gives_the_same_model(room: Room, algorithm: AlgorithmSpec) -> None:
    expected = laid_out(room, most=FEW).train().succeeded().model
    assert laid_out(room, most=FEW, TrainingInputMode="FastFile").train().succeeded().model == expected


@needs_fifos
@pytest.mark.only_if("Pipe")
def test_pipe_mode_gives_the_same_model(room: Room, algorithm: AlgorithmSpec, tmp_path: Path) -> None:
    expected = laid_out(room, most=FEW).train().succeeded()
    piped = laid_out(furnished(algorithm, tmp_path / "piped"), TrainingInputMode="Pipe")
    contents = {
        channel: b"".join(material.files(algorithm, channel, parts=3, most=FEW).values())
        for channel in material.channels(algorithm)
    }
    with feeding(piped.layout.data, contents):
        outcome = piped.train().succeeded()
    assert outcome.model == expected.model
    assert (
        outcome.metrics[registry.example(algorithm.name).metric]
        == expected.metrics[registry.example(algorithm.name).metric]
    )


def test_input_folders_are_never_written(room: Room, algorithm: AlgorithmSpec) -> None:
    laid_out(room, most=FEW)
    before = sorted(path for path in room.root.rglob("*"))
    room.train().succeeded()
    made = {path.relative_to(room.root).parts[0] for path in room.root.rglob("*") if path not in before}
    assert made <= {"model", "output"}


# What the rows lack


@pytest.mark.only_if("missing")
def test_missing_values_are_learned_alike_from_every_format(
    room: Room, algorithm: AlgorithmSpec, channel: str
) -> None:
    of_numbers(algorithm)
    models = []
    for content_type in material.content_types(algorithm, channel):
        laid_out(room, most=FEW)
        room.channel(channel, material.files(algorithm, channel, content_type, most=FEW, holes=True), content_type)
        models.append(room.train().succeeded().model)
    assert all(model == models[0] for model in models)


@pytest.mark.only_if("missing", media.CSV)
def test_an_empty_cell_and_nan_are_the_same(room: Room, algorithm: AlgorithmSpec) -> None:
    models = []
    for cell in ("", "nan", "NaN"):
        laid_out(room, most=FEW)
        for channel in material.channels(algorithm):
            ((name, content),) = material.files(algorithm, channel, media.CSV, most=FEW, holes=True).items()
            lines = [line.split(",") for line in content.decode().splitlines()]
            text = "".join(",".join(each or cell for each in cells) + "\n" for cells in lines)
            room.channel(channel, {name: text.encode()}, media.CSV)
        models.append(room.train().succeeded().model)
    assert models[0] == models[1] == models[2]


# Any legal job


def refusal(algorithm: AlgorithmSpec, hyperparameters: Mapping[str, str]) -> str:
    """Why a job with these hyperparameters is refused; empty where it leaves a model, as it must otherwise."""
    with TemporaryDirectory() as folder:
        room = Room(Path(folder) / "ml", algorithm).configure(hyperparameters)
        outcome = laid_out(room, most=FEW).train()
        if outcome.code:
            return outcome.refused()
        loadable(outcome.succeeded())
        return ""


def drawn(strategy: SearchStrategy[dict[str, str]], check: Callable[[dict[str, str]], None]) -> None:
    quiet = settings(max_examples=15, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
    quiet(given(strategy)(check))()


@pytest.mark.exhaustive
def test_legal_hyperparameters_train(algorithm: AlgorithmSpec) -> None:
    def check(hyperparameters: dict[str, str]) -> None:
        assert refusal(algorithm, hyperparameters) == ""

    drawn(legal.modest(algorithm), check)


@pytest.mark.exhaustive
def test_extreme_hyperparameters_train_or_are_refused_by_name(algorithm: AlgorithmSpec) -> None:
    usual = registry.example(algorithm.name).hyperparameters

    def check(hyperparameters: dict[str, str]) -> None:
        refused = refusal(algorithm, hyperparameters)
        changed = [name for name, value in hyperparameters.items() if usual.get(name) != value]
        assert not refused or any(name in refused for name in changed), refused

    drawn(legal.extreme(algorithm), check)
