"""What an algorithm declares is complete, consistent, cheap to read, and rendered the same everywhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import find

from clary.algorithms import registry
from clary.toolkit import aws_description
from clary.toolkit.errors import HyperparameterError
from clary.toolkit.parameters import AUTO, ChoiceParameter, Parameter
from clary.toolkit.spec import AlgorithmSpec, Metric
from exam import legal, service_model
from exam.programs import clean_environment

REPOSITORY = Path(__file__).parents[2]
IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/clary:1"
REQUIRED_FILES = {"__init__.py", "spec.py", "model.py", "train.py", "serve.py", "example.py"}
OPTIONAL_FILES = {
    "configuration.py",
    "data.py",
    "devices.py",
    "evaluate.py",
    "files.py",
    "frequency.py",
    "growth.py",
    "kernels.py",
    "layers.py",
    "library.py",
    "loops.py",
    "loss.py",
    "managed.py",
    "moments.py",
    "record.py",
    "ring.py",
    "rounds.py",
    "scoring.py",
    "search.py",
    "tensor.py",
    "trees.py",
    "vocabulary.py",
    "windows.py",
    "wordsim353.tsv",
}
HEADINGS = (
    "What it does",
    "Input",
    "Hyperparameters",
    "Metrics",
    "Output",
    "How it differs from the managed one",
    "References",
)
HEAVY = ("torch", "numpy", "scipy", "sklearn", "pyarrow", "boto3", "pandas", "xgboost", "numba")
SENTENCE = re.compile(r"[A-Z'\"].*[^.]\.", re.DOTALL)
CLAUSE = re.compile(r"[a-z].*[^.]", re.DOTALL)
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
GAP = re.compile(r"\{([a-z_]+)\}")
NATURAL = {"host": "algo-1-x7k2p", "epoch": "3", "batch": "17", "others": "\ttrain-other:0.5"}


def fresh(code: str) -> str:
    """What the code prints in a new interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def parameters(algorithm: AlgorithmSpec) -> list[Parameter]:
    return list(algorithm.hyperparameters.parameters().values())


def reported(metric: Metric, value: float) -> str:
    """The line that reports the value; a gap without a natural filling gets a word."""
    gaps = set(GAP.findall(metric.line)) - {"value"}
    return metric.render(value, **{name: NATURAL.get(name, "1.000") for name in gaps})


def test_reading_the_declaration_loads_no_numerical_library(algorithm: AlgorithmSpec) -> None:
    code = f"import sys; from clary.algorithms.{algorithm.name}.spec import SPEC; print(*sys.modules)"
    loaded = set(fresh(code).split())
    assert not loaded.intersection(HEAVY)


def test_each_doc_is_a_sentence(algorithm: AlgorithmSpec) -> None:
    docs = {each.name: each.doc for each in parameters(algorithm)}
    docs |= {f"channel {each.name}": each.doc for each in algorithm.channels}
    docs |= {f"metric {each.name}": each.doc for each in algorithm.metrics}
    docs |= {f"field {each.name}": each.doc for each in algorithm.payloads.fields}
    docs |= {f"option {each.name}": each.doc for each in algorithm.payloads.options}
    docs["summary"] = algorithm.summary
    assert [f"{name}: {doc}" for name, doc in docs.items() if not SENTENCE.fullmatch(doc)] == []


def test_names_are_those_of_the_platform(algorithm: AlgorithmSpec) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", algorithm.name)
    assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", algorithm.class_name)
    assert algorithm.tasks
    assert algorithm.summary
    names = [each.name for each in parameters(algorithm)]
    assert len(set(names)) == len(names)
    others = [*names, *algorithm.inert, *algorithm.aliases]
    assert len(set(others)) == len(others), "a name stands for one thing"
    assert set(algorithm.aliases.values()) <= set(names)
    metrics = [metric.name for metric in algorithm.metrics]
    assert len(set(metrics)) == len(metrics)


def test_defaults_obey_their_own_bounds(algorithm: AlgorithmSpec) -> None:
    for parameter in parameters(algorithm):
        if parameter.default is not None:
            assert parameter.parse(parameter.spell(parameter.default)) == parameter.default, parameter.name
            assert parameter.required is not True, f"{parameter.name} is required and has a default"


def test_tunable_hyperparameters_have_a_range_within_their_bounds(algorithm: AlgorithmSpec) -> None:
    for parameter in parameters(algorithm):
        if parameter.tunable is None:
            continue
        values = parameter.tunable.values
        assert all(parameter.parse(str(value)) != AUTO for value in values), parameter.name
        if isinstance(parameter, ChoiceParameter):
            assert set(values) <= set(parameter.choices)
        else:
            assert len(values) == 2
            assert values[0] < values[1], parameter.name
            assert parameter.tunable.scaling in ("Auto", "Linear", "Logarithmic", "ReverseLogarithmic")


def test_every_hyperparameter_has_a_value_that_is_refused(algorithm: AlgorithmSpec) -> None:
    for parameter in parameters(algorithm):
        bad = list(parameter.bad_texts())
        assert bad or parameter.type == "text", f"{parameter.name} refuses nothing"
        for text in bad:
            with pytest.raises((ValueError, KeyError, OverflowError)):
                parameter.parse(text)


def test_the_default_type_of_each_channel_is_one_that_it_reads(algorithm: AlgorithmSpec) -> None:
    assert any(channel.required is True for channel in algorithm.channels)
    for channel in algorithm.channels:
        assert channel.default_type in channel.content_types
        assert set(channel.input_modes) <= {"File", "Pipe", "FastFile"}


def test_the_example_and_its_variants_are_legal(algorithm: AlgorithmSpec) -> None:
    example = registry.example(algorithm.name)
    algorithm.parse({**example.hyperparameters, **example.longer})
    assert example.metric in {metric.name for metric in algorithm.metrics}
    assert {*example.fixed, *example.longer} <= set(algorithm.hyperparameters.parameters())
    for job in (example, *example.variants.values()):
        algorithm.parse(job.hyperparameters)
        assert {*job.channels, *job.files} <= {channel.name for channel in algorithm.channels}
        for channel in algorithm.channels:
            assert channel.required is not True or channel.name in {*job.channels, *job.files}


def test_metric_expressions_read_back_what_their_lines_carry(algorithm: AlgorithmSpec) -> None:
    for metric in algorithm.metrics:
        for value in (0.0, -1.5, 123456.789, 1e-12, 3.4e38):
            line = reported(metric, value)
            # The log service shows a tab as #011.
            for shown in (f"[01/02/2030 03:04:05 INFO 140] {line}", line, line.replace("\t", "#011")):
                found = re.search(metric.regex, shown)
                assert found is not None, shown
                assert float(found.group(1)) == value


def test_no_metric_expression_reads_another_metrics_line(algorithm: AlgorithmSpec) -> None:
    for metric in algorithm.metrics:
        line = reported(metric, 1.0)
        assert [each.name for each in algorithm.metrics if re.search(each.regex, line)] == [metric.name]


def test_when_a_metric_is_reported_is_the_end_of_a_sentence(algorithm: AlgorithmSpec) -> None:
    for metric in algorithm.metrics:
        assert not metric.when or CLAUSE.fullmatch(metric.when), metric.name


def test_another_name_is_taken_for_its_hyperparameter(algorithm: AlgorithmSpec) -> None:
    declared = algorithm.hyperparameters.parameters()
    for other, name in algorithm.aliases.items():
        given = dict(registry.example(algorithm.name).hyperparameters)
        value = given.pop(name, None) or declared[name].spell(find(legal.values(declared[name]), lambda _: True))
        assert algorithm.parse({**given, other: value}) == algorithm.parse({**given, name: value})
        with pytest.raises(HyperparameterError, match=f"{other} is another name of {name}"):
            algorithm.parse({**given, name: value, other: value})


def test_the_description_is_plain_json(algorithm: AlgorithmSpec) -> None:
    described = algorithm.describe()
    assert json.loads(json.dumps(described)) == described


def test_the_rendered_description_passes_the_service_model(algorithm: AlgorithmSpec) -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    shape = model.operation_model("CreateAlgorithm").input_shape
    request = aws_description.create_algorithm(algorithm, IMAGE)
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    # The library's own validator looks at neither patterns nor choices nor upper limits.
    assert list(service_model.problems(request, shape)) == []
    rendered = request["TrainingSpecification"]["SupportedHyperParameters"]
    assert {each["Name"] for each in rendered} >= {each.name for each in parameters(algorithm)}


def test_only_the_allowed_files_exist(algorithm: AlgorithmSpec) -> None:
    found = find_spec(f"clary.algorithms.{algorithm.name}")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent
    names = {path.name for path in folder.iterdir() if path.name != "__pycache__"}
    assert names - REQUIRED_FILES - OPTIONAL_FILES == set()
    assert REQUIRED_FILES - names == set()


def test_the_page_has_the_headings_of_every_page(algorithm: AlgorithmSpec) -> None:
    page = (REPOSITORY / "docs" / "algorithms" / f"{algorithm.name}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+?)\s*$", page, re.MULTILINE) == list(HEADINGS)


def test_the_doors_lead_to_the_parts(algorithm: AlgorithmSpec) -> None:
    assert callable(registry.trainer(algorithm.name))
    assert registry.predictor(algorithm.name).spec is algorithm
    for name in (algorithm.name, algorithm.repository, algorithm.class_name):
        assert registry.spec(name) is algorithm


def test_the_fields_and_options_of_an_answer_have_different_names(algorithm: AlgorithmSpec) -> None:
    payloads = algorithm.payloads
    for names in ([field.name for field in payloads.fields], [option.name for option in payloads.options]):
        assert len(set(names)) == len(names)
    # Where a request or the kind of model says which fields there are, each of them may be left out.
    chosen = any(field.shape == "object" for field in payloads.fields) or not payloads.json_key
    assert chosen or any(not field.optional for field in payloads.fields)
    variables = [option.variable for option in payloads.options if option.variable]
    assert len(set(variables)) == len(variables)
    assert all(VARIABLE.fullmatch(variable) for variable in variables)


def test_short_names_of_request_types_stand_for_declared_ones(algorithm: AlgorithmSpec) -> None:
    payloads = algorithm.payloads
    assert set(payloads.aliases.values()) <= set(payloads.requests)
    assert not set(payloads.aliases) & set(payloads.requests)
