"""A model loaded into this program, and its answers to blocks of rows, as its server would give them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.toolkit.errors import TooLargeError, UserError
from clary.toolkit.media import MediaType

if TYPE_CHECKING:
    import numpy.typing as npt

    from clary.toolkit.predictor import Predictor, TabularPredictor
    from clary.toolkit.records import Records

Columns = dict[str, "npt.NDArray[Any]"]
# An answer with options may be many times as long as its rows.
_ROWS_AT_ONCE = 1000


@contextmanager
def loaded(model: Path, algorithm: str) -> Iterator[Predictor[Any, Any]]:
    """The predictor of a model archive or folder; UserError if there is none."""
    from clary.container.model import load
    from clary.toolkit.artifact import opened
    from clary.toolkit.predictor import Surroundings, TabularPredictor

    with opened(model) as folder:
        predictor = load(folder, algorithm).predictor
        # A file of objects is answered as a batch transform answers it.
        batch = not isinstance(predictor, TabularPredictor)
        predictor.place(Surroundings(options=_usual(predictor), batch=batch))
        yield predictor


def of_rows(predictor: Predictor[Any, Any]) -> TabularPredictor:
    """The predictor, if it answers rows of numbers; UserError otherwise."""
    from clary.toolkit.predictor import TabularPredictor

    if not isinstance(predictor, TabularPredictor):
        raise UserError(f"{predictor.spec.title} does not answer rows of numbers")
    return predictor


def options(predictor: Predictor[Any, Any], accept: MediaType) -> dict[str, str]:
    """The options that the environment or the type of the answer sets; UserError for one that is not declared."""
    declared = [option.name for option in predictor.spec.payloads.options]
    unknown = [name for name in accept.parameters if name not in declared and name != "charset"]
    if unknown:
        has = ", ".join(declared) if declared else "none"
        raise UserError(f"answers of {predictor.spec.title} have no option {unknown[0]!r}; the options are: {has}")
    return {**_usual(predictor), **predictor.options(accept)}


def answers(
    predictor: TabularPredictor, block: Records, asked: Mapping[str, str]
) -> Iterator[tuple[Records, Columns]]:
    """The block's rows with their answers, in order and in parts that are not too large for the model."""
    if not asked:
        yield block, predictor.predict(predictor.check(block))
        return
    for start in range(0, len(block), _ROWS_AT_ONCE):
        yield from _halved(predictor, block.rows(start, min(start + _ROWS_AT_ONCE, len(block))), asked)


def _halved(
    predictor: TabularPredictor, part: Records, asked: Mapping[str, str]
) -> Iterator[tuple[Records, Columns]]:
    try:
        yield part, predictor.predict_with(predictor.check(part), asked)
    except TooLargeError:
        if len(part) == 1:
            raise
        half = len(part) // 2
        yield from _halved(predictor, part.rows(0, half), asked)
        yield from _halved(predictor, part.rows(half, len(part)), asked)


def _usual(predictor: Predictor[Any, Any]) -> dict[str, str]:
    declared = predictor.spec.payloads.options
    return {each.name: os.environ[each.variable] for each in declared if each.variable in os.environ}
