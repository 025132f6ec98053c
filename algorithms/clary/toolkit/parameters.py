"""How hyperparameters are declared: kinds of values, their bounds and wording, and the set that reads them.

Standard library only, so that reading a declaration costs nothing.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import sys
from ast import literal_eval
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, TypeVar, cast

from clary.toolkit.errors import HyperparameterError

if sys.version_info >= (3, 11):
    from typing import dataclass_transform
else:  # until Python 3.10 leaves the supported range

    def dataclass_transform(**_: Any) -> Callable[[Any], Any]:
        """Stand in for typing's decorator, which has no effect when the program runs."""
        return lambda decorated: decorated


Auto = Literal["auto"]
AUTO: Final = "auto"
_KEY = "clary"


@dataclass(frozen=True, kw_only=True)
class Tunable:
    """The range that a tuning job may search, and its scale; categorical ranges have no scale."""

    values: tuple[Any, ...]
    scaling: str | None = "Linear"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One hyperparameter: how its string is read, what it may be, and how it is described.

    ``parse`` raises ValueError where the text is no value of this kind; ``wording`` completes the sentence
    "<name> must be ..." for any refused value. ``blank`` is what an empty string stands for; without it, an empty
    string leaves the hyperparameter unset.
    """

    type: ClassVar[str] = "text"
    name: str = ""
    blank: str = ""
    default: Any = None
    auto: bool = False
    required: bool | str = False
    tunable: Tunable | None = None
    doc: str = ""

    def parse(self, text: str) -> Any:
        """Return the value that the text spells, within bounds; ValueError otherwise."""
        text = text.strip()
        if self.auto and text.lower() == AUTO:
            return AUTO
        value = self._read(text)
        if not self._allows(value):
            raise ValueError(text)
        return value

    @property
    def wording(self) -> str:
        """What is allowed, as the end of a sentence."""
        return self._wording() + (" or 'auto'" if self.auto else "")

    def spell(self, value: Any) -> str:
        """The string that ``parse`` reads back as this value, as hyperparameters.json holds it."""
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (list, tuple, dict)):
            return json.dumps(value)
        if isinstance(value, float) and value.is_integer() and self.type == "integer":
            return str(int(value))
        return str(value)

    def bad_texts(self) -> Iterator[str]:
        """Texts that must be refused, one of each kind of mistake; tests draw their cases from here."""
        yield from ()

    def describe(self) -> dict[str, Any]:
        """The stable description that ``clary describe --json`` prints."""
        tunable = None
        if self.tunable:
            tunable = {"range": list(self.tunable.values), "scaling": self.tunable.scaling}
        default = self.spell(self.default) if isinstance(self.default, (tuple, bool)) else self.default
        return {
            "name": self.name,
            "type": self.type,
            "values": self._values(),
            "range": self._range(),
            "default": default,
            "auto": self.auto,
            "required": self.required,
            "tunable": tunable,
            "doc": self.doc,
        }

    def _read(self, text: str) -> Any:
        return text

    def _allows(self, value: Any) -> bool:
        return True

    def _wording(self) -> str:
        return "a text"

    def _values(self) -> list[Any] | None:
        return None

    def _range(self) -> dict[str, Any] | None:
        return None


@dataclass(frozen=True, kw_only=True)
class _Number(Parameter):
    low: float | None = None
    high: float | None = None
    low_included: bool = True
    high_included: bool = True
    words: tuple[str, ...] = ()

    def parse(self, text: str) -> Any:
        """Return the number that the text spells, or the word that may stand for one; ValueError otherwise."""
        word = text.strip().lower()
        return word if word in self.words else super().parse(text)

    @property
    def wording(self) -> str:
        """What is allowed, as the end of a sentence."""
        return super().wording + "".join(f" or {word!r}" for word in self.words)

    def _values(self) -> list[Any] | None:
        also = "" if self.blank else AUTO if self.auto else None
        return [*self.words, *([] if also is None else [also])] if self.words else None

    def _allows(self, value: float) -> bool:
        above = self.low is None or value > self.low or (self.low_included and value == self.low)
        below = self.high is None or value < self.high or (self.high_included and value == self.high)
        return above and below

    def _bounds(self) -> str:
        low = "" if self.low is None else f"at least {self.low}" if self.low_included else f"above {self.low}"
        high = "" if self.high is None else f"at most {self.high}" if self.high_included else f"below {self.high}"
        return " and ".join(part for part in (low, high) if part)

    def _range(self) -> dict[str, Any]:
        return {
            "min": self.low,
            "max": self.high,
            "min_inclusive": self.low is not None and self.low_included,
            "max_inclusive": self.high is not None and self.high_included,
        }

    def bad_texts(self) -> Iterator[str]:
        """Texts that must be refused, one of each kind of mistake."""
        yield from (text for text in ("", "many", "nan", "inf", "[1]") if text not in self.words)
        if self.low is not None:
            yield str(self.low - 1)
            if not self.low_included:
                yield str(self.low)
        if self.high is not None:
            yield str(self.high + 1)
            if not self.high_included:
                yield str(self.high)


@dataclass(frozen=True, kw_only=True)
class IntegerParameter(_Number):
    """A whole number within bounds, or out of ``choices``; ``"10.0"`` is read as 10, ``"10.5"`` is refused."""

    type: ClassVar[str] = "integer"
    choices: tuple[int, ...] = ()

    def _read(self, text: str) -> int:
        if re.fullmatch(r"[+-]?\d+(\.0*)?", text, re.ASCII):
            return int(text.partition(".")[0])
        number = float(text)
        if "_" in text or not number.is_integer():
            raise ValueError(text)
        return int(number)

    def _allows(self, value: float) -> bool:
        return super()._allows(value) and (not self.choices or value in self.choices)

    def _wording(self) -> str:
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        return f"an integer {self._bounds()}".rstrip()

    def _values(self) -> list[Any] | None:
        return list(self.choices) or super()._values()

    def bad_texts(self) -> Iterator[str]:
        """Texts that must be refused, one of each kind of mistake."""
        yield from super().bad_texts()
        yield "1.5"
        gaps = set(range(min(self.choices, default=0), max(self.choices, default=0))) - set(self.choices)
        yield from map(str, sorted(gaps)[:1])


@dataclass(frozen=True, kw_only=True)
class RealParameter(_Number):
    """A finite number within bounds, in any JSON or Python spelling."""

    type: ClassVar[str] = "continuous"

    def _read(self, text: str) -> float:
        value = float(text)
        if "_" in text or not math.isfinite(value):
            raise ValueError(text)
        return value

    def _wording(self) -> str:
        return f"a number {self._bounds()}".rstrip()


@dataclass(frozen=True, kw_only=True)
class ChoiceParameter(Parameter):
    """One of a closed set of texts; a flag is the choice of 'true' and 'false' in any capitals."""

    type: ClassVar[str] = "categorical"
    choices: tuple[str, ...] = ()
    boolean: bool = False
    old: Mapping[str, str] = field(default_factory=dict)

    def _read(self, text: str) -> str | bool:
        text = text.strip("\"'")
        text = self.old.get(text, text)
        if self.boolean:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()] if self._known(text) else text
        return text

    def _known(self, text: str) -> bool:
        return text.lower() in ("true", "false", "1", "0")

    def _allows(self, value: Any) -> bool:
        return isinstance(value, bool) if self.boolean else value in self.choices

    def _wording(self) -> str:
        return "one of " + ", ".join(repr(choice) for choice in self.choices)

    def _values(self) -> list[str]:
        return [*([AUTO] if self.auto else []), *self.choices]

    def bad_texts(self) -> Iterator[str]:
        """Texts that must be refused, one of each kind of mistake."""
        yield from ("", "no_such_choice", "-1")


@dataclass(frozen=True, kw_only=True)
class TextParameter(Parameter):
    """Free text, or text that a pattern describes; ``words`` are the fixed ones among what it allows."""

    pattern: str | None = None
    pattern_wording: str = "a text"
    words: tuple[str, ...] = ()

    def _allows(self, value: str) -> bool:
        return self.pattern is None or re.fullmatch(self.pattern, value) is not None

    def _wording(self) -> str:
        return self.pattern_wording

    def _values(self) -> list[str] | None:
        return [*self.words, *([""] if self.blank else [])] or None

    def bad_texts(self) -> Iterator[str]:
        """Texts that must be refused, one of each kind of mistake."""
        if self.pattern is not None:
            yield from (text for text in ("no such text", "?", "-1") if not self._allows(text))


@dataclass(frozen=True, kw_only=True)
class NamesParameter(Parameter):
    """A list of names from a closed set, written as a JSON list in a string, or with ``commas`` between them.

    A name in ``at`` may carry a number behind an ``@``, as in ``error@0.3``.
    """

    choices: tuple[str, ...] = ()
    commas: bool = False
    at: tuple[str, ...] = ()

    def spell(self, value: Any) -> str:
        """The string that ``parse`` reads back as this value."""
        return ",".join(value) if self.commas and not isinstance(value, str) else super().spell(value)

    def _read(self, text: str) -> tuple[str, ...]:
        if self.commas and not text.startswith("["):
            return tuple(part.strip() for part in text.split(","))
        return tuple(_list(text))

    def _allows(self, value: tuple[Any, ...]) -> bool:
        return len(value) > 0 and len(set(map(str, value))) == len(value) and all(map(self._known, value))

    def _known(self, name: Any) -> bool:
        if not isinstance(name, str):
            return False
        plain, at, number = name.partition("@")
        return plain in self.choices and (not at or (plain in self.at and _is_number(number)))

    def _wording(self) -> str:
        form = "a list with commas" if self.commas else "a JSON list"
        behind = f" ({', '.join(self.at)} may have a number behind them, as in {self.at[0]}@0.3)" if self.at else ""
        names_ = ", ".join(repr(c) for c in self.choices)
        return f"{form} of one or more of {names_}, each at most once{behind}"

    def _values(self) -> list[str]:
        return list(self.choices)

    def bad_texts(self) -> Iterator[str]:
        """Texts that must be refused, one of each kind of mistake."""
        yield from ("", "[]", '["no_such_name"]', json.dumps([self.choices[0]] * 2), "{}", "[")
        yield f"{self.choices[0]},,{self.choices[-1]}" if self.commas else self.choices[0]


@dataclass(frozen=True, kw_only=True)
class NumbersParameter(_Number):
    """A list of numbers, each within bounds, written as a JSON list in a string."""

    type: ClassVar[str] = "text"

    def _read(self, text: str) -> tuple[float, ...]:
        values = _list(text)
        if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
            raise ValueError(text)
        if not all(math.isfinite(value) for value in values):
            raise ValueError(text)
        return tuple(float(value) for value in values)

    def _allows(self, value: Any) -> bool:
        return all(super(NumbersParameter, self)._allows(number) for number in value)

    def _wording(self) -> str:
        bounds = self._bounds()
        return f"a JSON list of numbers, each {bounds}" if bounds else "a JSON list of numbers"

    def bad_texts(self) -> Iterator[str]:
        """Texts that must be refused, one of each kind of mistake."""
        yield from ("", "many", "7", "[1", "{}", '["many"]', "[null]", "[true]", "[NaN]")
        if self.low is not None:
            yield f"[{self.low - 1}]"
        if self.high is not None:
            yield f"[{self.high + 1}]"


@dataclass(frozen=True, kw_only=True)
class MappingParameter(Parameter):
    """An object of names to values, written as JSON in a string."""

    def _read(self, text: str) -> dict[str, Any]:
        value = _literal(text)
        if not isinstance(value, dict):
            raise ValueError(text)
        return value

    def _wording(self) -> str:
        return "a JSON object"

    def bad_texts(self) -> Iterator[str]:
        """Texts that must be refused, one of each kind of mistake."""
        yield from ("", "[]", "{", "7")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def _literal(text: str) -> Any:
    """JSON first; then Python's own spelling, which the managed SDK sends for lists."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        try:
            return literal_eval(text)
        except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
            raise ValueError(text) from error


def _list(text: str) -> list[Any]:
    value = _literal(text)
    if not isinstance(value, (list, tuple)):
        raise ValueError(text)
    return list(value)


def _declare(parameter: Parameter, name: str | None) -> Any:
    """Hang the parameter on a dataclass field; ``name`` is given where Python forbids the real one."""
    metadata = {_KEY: parameter if name is None else dataclasses.replace(parameter, name=name)}
    if parameter.required is True:
        return field(metadata=metadata)
    return field(default=parameter.default, metadata=metadata)


def _tunable(values: Sequence[Any] | None, scaling: str | None) -> Tunable | None:
    return None if values is None else Tunable(values=tuple(values), scaling=scaling)


def integer(
    default: Any = None,
    *,
    at_least: int | None = None,
    above: int | None = None,
    at_most: int | None = None,
    below: int | None = None,
    of: Sequence[int] = (),
    auto: bool = False,
    required: bool | str = False,
    tunable: tuple[int, int] | None = None,
    scaling: str = "Linear",
    words: Sequence[str] = (),
    blank: str = "",
    name: str | None = None,
    doc: str,
) -> Any:
    """Declare a whole number; each end of its range is included (``at_``) or not (``above``, ``below``).

    With ``of``, it is one of these numbers, in rising order, and they are its range. ``words`` may stand in its
    place; ``blank`` is what an empty string stands for, where that is not "unset".
    """
    low, high = (
        (min(of), max(of)) if of else (at_least if above is None else above, at_most if below is None else below)
    )
    return _declare(
        IntegerParameter(
            default=default,
            low=low,
            high=high,
            low_included=above is None,
            high_included=below is None,
            choices=tuple(of),
            auto=auto,
            required=required,
            tunable=_tunable(tunable, scaling),
            words=tuple(words),
            blank=blank,
            doc=doc,
        ),
        name,
    )


def real(
    default: Any = None,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    auto: bool = False,
    required: bool | str = False,
    tunable: tuple[float, float] | None = None,
    scaling: str = "Linear",
    words: Sequence[str] = (),
    name: str | None = None,
    doc: str,
) -> Any:
    """Declare a number; each end of its range is included (``at_``) or not (``above``, ``below``).

    ``words`` may stand in its place.
    """
    low, high = (at_least if above is None else above), (at_most if below is None else below)
    return _declare(
        RealParameter(
            default=default,
            low=low,
            high=high,
            low_included=above is None,
            high_included=below is None,
            words=tuple(words),
            auto=auto,
            required=required,
            tunable=_tunable(tunable, scaling),
            doc=doc,
        ),
        name,
    )


def choice(
    default: str | None = None,
    *,
    of: Sequence[str],
    auto: bool = False,
    required: bool | str = False,
    tunable: Sequence[str] | None = None,
    old: Mapping[str, str] | None = None,
    name: str | None = None,
    doc: str,
) -> Any:
    """Declare one of a closed set of texts; ``old`` maps spellings of earlier times to today's."""
    return _declare(
        ChoiceParameter(
            default=default,
            choices=tuple(of),
            auto=auto,
            required=required,
            tunable=_tunable(tunable, None),
            old=old or {},
            doc=doc,
        ),
        name,
    )


def flag(
    default: bool | Auto | None = None,
    *,
    auto: bool = False,
    tunable: bool = False,
    name: str | None = None,
    doc: str,
) -> Any:
    """Declare a truth value, ``"true"`` or ``"false"`` in any capitals, or ``"1"`` and ``"0"``."""
    both = ("true", "false")
    search = _tunable(both, None) if tunable else None
    return _declare(
        ChoiceParameter(default=default, choices=both, boolean=True, auto=auto, tunable=search, doc=doc), name
    )


def text(
    default: str | None = None,
    *,
    pattern: str | None = None,
    wording: str = "a text",
    auto: bool = False,
    required: bool | str = False,
    words: Sequence[str] = (),
    blank: str = "",
    name: str | None = None,
    doc: str,
) -> Any:
    """Declare a text, free or described by a pattern whose meaning ``wording`` says.

    ``words`` are the fixed texts among those; ``blank`` is what an empty string stands for, where that is not
    "unset".
    """
    return _declare(
        TextParameter(
            default=default,
            pattern=pattern,
            pattern_wording=wording,
            auto=auto,
            required=required,
            words=tuple(words),
            blank=blank,
            doc=doc,
        ),
        name,
    )


def names(
    default: tuple[str, ...] | None = None,
    *,
    of: Sequence[str],
    commas: bool = False,
    at: Sequence[str] = (),
    name: str | None = None,
    doc: str,
) -> Any:
    """Declare a list of names from a closed set, a JSON list or with ``commas``; ``at`` may carry an ``@number``."""
    return _declare(
        NamesParameter(default=default, choices=tuple(of), commas=commas, at=tuple(at), doc=doc),
        name,
    )


def numbers(
    default: tuple[float, ...] | None = None,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    name: str | None = None,
    doc: str,
) -> Any:
    """Declare a list of numbers, each within bounds."""
    return _declare(NumbersParameter(default=default, low=at_least, high=at_most, doc=doc), name)


def mapping(default: Mapping[str, Any] | None = None, *, name: str | None = None, doc: str) -> Any:
    """Declare an object of names to values."""
    return _declare(MappingParameter(default=default, doc=doc), name)


Set = TypeVar("Set", bound="HyperparameterSet")


@dataclass_transform(
    kw_only_default=True,
    frozen_default=True,
    field_specifiers=(integer, real, choice, flag, text, names, numbers, mapping),
)
def hyperparameters(cls: type[Set]) -> type[Set]:
    """Make the class a frozen, keyword-only dataclass whose fields are hyperparameters."""
    made = dataclass(frozen=True, kw_only=True)(cls)
    undeclared = [f.name for f in dataclasses.fields(cast(Any, made)) if _KEY not in f.metadata]
    if undeclared:
        raise TypeError(f"{cls.__name__}: declare {', '.join(undeclared)} with integer(), real(), choice(), ...")
    return made


class HyperparameterSet:
    """The base of every algorithm's ``Hyperparameters``: reads strings, reports every problem at once."""

    given: ClassVar[frozenset[str]] = frozenset()
    """The public names that the job gave a value; the others have their defaults."""

    def problems(self) -> Iterator[str]:
        """Sentences about rules that span several hyperparameters; none when all is well."""
        yield from ()

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """The declarations by their public names, in the order they are written."""
        found = {}
        for each in dataclasses.fields(cast(Any, cls)):
            declared: Parameter = each.metadata[_KEY]
            if not declared.name:
                declared = dataclasses.replace(declared, name=each.name)
            found[declared.name] = declared
        return found

    @classmethod
    def parse(
        cls: type[Set],
        given: Mapping[str, object],
        *,
        inert: Sequence[str] = (),
        aliases: Mapping[str, str] | None = None,
    ) -> Set:
        """Read the contract's map of strings.

        Keys of the platform (``_...`` and ``sagemaker_...``) that are not declared, and those named in
        ``inert``, are set aside; ``aliases`` maps other names to the declared ones. An empty string means unset.
        Raises HyperparameterError with a sentence for every unknown, missing or refused entry.
        """
        declared, aliases = cls.parameters(), aliases or {}
        problems, values, refused = [], {}, set()
        for written, text_ in given.items():
            key = aliases.get(written, written)
            if key != written and key in given:
                problems.append(f"{written} is another name of {key}, which is given too; give one of the two")
            elif key in declared:
                refused.add(key)
                if not isinstance(text_, str):
                    problems.append(f"{key} must be a JSON string; got {json.dumps(text_)}")
                    continue
                if not text_.strip() and declared[key].required is not True and not declared[key].blank:
                    continue
                try:
                    values[key] = declared[key].parse(text_.strip() or declared[key].blank)
                    refused.discard(key)
                except (ValueError, OverflowError, KeyError):
                    problems.append(f"{key} must be {declared[key].wording}; got {_shown(text_)}")
            elif not (key.startswith(("_", "sagemaker_")) or key in inert):
                problems.append(_unknown(key, declared))
        missing = [n for n, p in declared.items() if p.required is True and n not in values and n not in refused]
        if missing:
            problems.append(f"no value was given for {', '.join(map(repr, missing))}, which must be set")
        if problems:
            raise HyperparameterError(problems)
        attributes = {f.metadata[_KEY].name or f.name: f.name for f in dataclasses.fields(cast(Any, cls))}
        made = cls(**{attributes[key]: value for key, value in values.items()})
        object.__setattr__(made, "given", frozenset(values))
        if across := list(made.problems()):
            raise HyperparameterError(across)
        return made

    def spell(self) -> dict[str, str]:
        """The map of strings that ``parse`` reads back as this set; what is unset is left out."""
        spelled = {}
        for each in dataclasses.fields(cast(Any, self)):
            value, declared = getattr(self, each.name), each.metadata[_KEY]
            if value is not None:
                spelled[declared.name or each.name] = declared.spell(value)
        return spelled


def _shown(text_: str) -> str:
    return repr(text_ if len(text_) <= 80 else text_[:77] + "...")


def _unknown(key: str, declared: Mapping[str, Parameter]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(key, declared, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"the hyperparameters are {', '.join(sorted(declared))}"
    return f"{key} is not a hyperparameter of this algorithm; {hint}"
