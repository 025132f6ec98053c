"""Runs each check for each algorithm that it applies to; exemptions become strict expected failures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from clary.algorithms import registry
from clary.toolkit.parameters import Parameter
from clary.toolkit.spec import AlgorithmSpec
from exam import material
from exam.endpoint import Endpoint
from exam.exemptions import exemptions
from exam.room import Outcome, Room, TrainOnce, furnished

HERE = Path(__file__).parent
MISTAKES = ("parameter", "mistake")
CHOICES = ("channel", "request_type", "answer_type", "variant")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give ``algorithm`` its declarations, ``(parameter, mistake)`` every bad value of every hyperparameter,
    ``channel`` every channel of the example, ``variant`` the name of each of its variants, and ``request_type``
    and ``answer_type`` the declared types.
    """
    if "algorithm" not in metafunc.fixturenames:
        return
    asked = [name for name in (*MISTAKES, *CHOICES) if name in metafunc.fixturenames]
    cases = [
        pytest.param(name, *case, id="-".join([name, *map(_label, case)]), marks=_marks(metafunc, name))
        for name in registry.NAMES
        if _applies(metafunc.definition, registry.spec(name))
        for case in _cases(registry.spec(name), asked)
    ]
    metafunc.parametrize(["algorithm", *asked], cases, indirect=["algorithm"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Examine one algorithm after the other, so that each is trained and served once."""
    places = [place for place, item in enumerate(items) if item.path.is_relative_to(HERE)]
    ordered = sorted((items[place] for place in places), key=_turn)
    for place, item in zip(places, ordered, strict=True):
        items[place] = item


def _turn(item: pytest.Item) -> int:
    callspec = getattr(item, "callspec", None)
    name = callspec.params.get("algorithm") if callspec else None
    return registry.NAMES.index(name) if name in registry.NAMES else len(registry.NAMES)


def _applies(definition: pytest.Item, spec: AlgorithmSpec) -> bool:
    """Whether the algorithm can do all that the check's ``only_if`` marks name, and nothing that ``unless`` does."""
    able = _abilities(spec)
    wanted = {name for mark in definition.iter_markers("only_if") for name in mark.args}
    unwanted = {name for mark in definition.iter_markers("unless") for name in mark.args}
    return wanted <= able and not unwanted & able


def _abilities(spec: AlgorithmSpec) -> set[str]:
    """Capabilities, input modes, request types and options of answers: the words that marks may hold."""
    capabilities = {name for name, able in asdict(spec.capabilities).items() if able}
    modes = {mode for channel in spec.channels for mode in channel.input_modes}
    return capabilities | modes | {*spec.payloads.requests} | {option.name for option in spec.payloads.options}


def _marks(metafunc: pytest.Metafunc, name: str) -> list[pytest.MarkDecorator]:
    reason = exemptions(name).get(metafunc.function.__name__)
    return [pytest.mark.xfail(reason=reason, strict=True)] if reason else []


def _cases(spec: AlgorithmSpec, asked: Sequence[str]) -> Iterator[tuple[object, ...]]:
    choices: dict[str, Sequence[object]] = {
        "channel": material.channels(spec),
        "request_type": spec.payloads.requests,
        "answer_type": spec.payloads.responses,
        "variant": list(registry.example(spec.name).variants),
    }
    drawn: list[tuple[object, ...]] = [()]
    if "mistake" in asked:
        declared = spec.hyperparameters.parameters().values()
        # An empty string is no mistake where a value may be left out: it means that there is none.
        drawn = [(each, text) for each in declared for text in each.bad_texts() if text or each.required is True]
    for name in asked:
        if name in choices:
            drawn = [(*case, value) for case in drawn for value in choices[name]]
    yield from drawn


def _label(value: object) -> str:
    return value.name if isinstance(value, Parameter) else repr(value) if value == "" else str(value)


@pytest.fixture
def algorithm(request: pytest.FixtureRequest) -> AlgorithmSpec:
    """The algorithm under examination, by its declarations."""
    return registry.spec(request.param)


@pytest.fixture
def room(algorithm: AlgorithmSpec, tmp_path: Path) -> Room:
    """An ``/opt/ml`` with the example's hyperparameters and no channel yet."""
    return furnished(algorithm, tmp_path / "ml")


@pytest.fixture(scope="session")
def outcomes() -> dict[str, Outcome]:
    """What came of the examples and variants trained so far, by where they were."""
    return {}


@pytest.fixture
def train_once(
    algorithm: AlgorithmSpec, outcomes: dict[str, Outcome], tmp_path_factory: pytest.TempPathFactory
) -> TrainOnce:
    """Trains the example, or a variant of it, the first time that a check asks for what came of it."""

    def trained(variant: str = "") -> Outcome:
        place = f"{algorithm.name}-{variant}"
        if place not in outcomes:
            room = Room(tmp_path_factory.mktemp(algorithm.name) / "ml", algorithm)
            room.configure(material.job(algorithm, variant).hyperparameters)
            for channel in material.channels(algorithm, variant):
                room.channel(channel, material.files(algorithm, channel, variant=variant))
            outcomes[place] = room.train()
        return outcomes[place].succeeded()

    return trained


@pytest.fixture
def trained(train_once: TrainOnce) -> Outcome:
    """The example, trained once for all checks that only look at what came of it."""
    return train_once()


@pytest.fixture(scope="session")
def endpoints() -> Iterator[dict[str, Endpoint]]:
    """The endpoint that runs now, by algorithm."""
    running: dict[str, Endpoint] = {}
    yield running
    for endpoint in running.values():
        endpoint.close()


@pytest.fixture
def endpoint(trained: Outcome, endpoints: dict[str, Endpoint]) -> Endpoint:
    """A server for the example's model, started once for all checks that only ask it."""
    name = trained.spec.name
    if name not in endpoints:
        for other in endpoints.values():
            other.close()
        endpoints.clear()
        endpoints[name] = Endpoint(trained.layout.root, name)
    return endpoints[name].healthy()
