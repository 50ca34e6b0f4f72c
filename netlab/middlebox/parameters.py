"""What a parameter of a middlebox may be, and how its text is read.

Durations (``50ms``, ``2s``; a bare number is seconds) become seconds, rates (``10mbit``,
``64kbit``; a bare number is bit/s) become bit/s, shares (``15%``, ``3/20``, ``0.15``) become exact
fractions. A file may not give a bare number for these (``bare_number``): ``loss: 1`` means 1 % to
every other tool, and ``delay: 5`` means 5 ms. A ``word`` is a name, a number or an address, and may
be put into a rule as it is.
A protocol, by name or number, becomes its name if it has one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from typing import Literal, TypeAlias, TypeVar

from netlab.wire.protocols import NAMES, number

Type: TypeAlias = Literal[
    "integer",
    "integers",
    "duration",
    "rate",
    "share",
    "text",
    "word",
    "words",
    "protocols",
    "choice",
    "truth",
]
Value: TypeAlias = int | float | bool | str | Fraction | tuple[int, ...] | tuple[str, ...] | None

N = TypeVar("N", int, float)

_DURATION = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}
_RATE = {"": 1.0, "bit": 1.0, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
_WORD = re.compile(r"[\w.:/-]+", re.ASCII)
_BARE = re.compile(r"\d{1,300}(?:\.\d+)?")
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name as in the file, its type, what it means.

    ``default`` is ``None`` for one that has to be given. ``least`` and ``most`` bound numbers,
    ``choices`` lists the texts of a choice.
    """

    name: str
    type: Type
    help: str
    default: Value = None
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    required: bool = False


class Unfit(ValueError):
    """A value that a parameter cannot take; ``str()`` says why."""


def read(parameter: Parameter, given: object) -> Value:
    """The value of a parameter from what a file says; raises ``Unfit``.

    Raises:
        Unfit: the value does not fit the parameter.
    """
    match parameter.type:
        case "integer":
            return _bounded(parameter, _integer(given))
        case "integers":
            return tuple(int(_bounded(parameter, _integer(g))) for g in _many(given))
        case "duration":
            return _bounded(parameter, _quantity(given, _DURATION, "a duration such as 50ms"))
        case "rate":
            return _bounded(parameter, _quantity(given, _RATE, "a rate such as 10mbit"))
        case "share":
            return _share(given)
        case "text":
            return _text(given)
        case "word":
            return _word(given)
        case "words":
            return tuple(_word(g) for g in _many(given))
        case "protocols":
            return tuple(_protocol(g) for g in _many(given))
        case "choice":
            return _choice(parameter, given)
        case "truth":
            if isinstance(given, bool):
                return given
            raise Unfit(f"{given!r} is not a boolean")


_UNITS: dict[str, tuple[str, str]] = {
    "duration": ("ms", "s"),
    "rate": ("mbit", "bit"),
}


def bare_number(parameter: Parameter, given: object) -> str:
    """How to write what a file gives as a number without a unit; empty if it is unambiguous."""
    text = str(given).strip()
    if (
        parameter.type not in (*_UNITS, "share")
        or isinstance(given, bool)
        or not _BARE.fullmatch(text)
    ):
        return ""
    if float(text) == 0:
        return ""
    if parameter.type == "share":
        whole = Fraction(text) * 100
        other = f"{float(whole):g}%" if whole <= 100 else ""
        return f"`{text}%`" + (f" or `{other}`" if other else "")
    first, second = _UNITS[parameter.type]
    return f"`{text}{first}` or `{text}{second}`"


def _many(given: object) -> list[object]:
    return list(given) if isinstance(given, list | tuple) else [given]


def _integer(given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int):
        raise Unfit(f"{given!r} is not a whole number")
    return given


def _text(given: object) -> str:
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise Unfit(f"{given!r} is not a text")
    return str(given)


def _word(given: object) -> str:
    text = _text(given)
    if not _WORD.fullmatch(text):
        raise Unfit(f"{text!r} has characters that no name or address has")
    return text


def _protocol(given: object) -> str:
    try:
        known = number(_text(given))
    except ValueError as error:
        raise Unfit(str(error)) from None
    return NAMES.get(known, str(known))


def _choice(parameter: Parameter, given: object) -> str:
    if given not in parameter.choices:
        raise Unfit(f"{given!r} is not one of {', '.join(parameter.choices)}")
    return str(given)


def _quantity(given: object, units: dict[str, float], what: str) -> float:
    if isinstance(given, int | float) and not isinstance(given, bool) and isfinite(given):
        return float(given)
    match = _NUMBER.fullmatch(str(given).strip().lower())
    if not match or match[2] not in units:
        raise Unfit(f"{given!r} is not {what}")
    return float(match[1]) * units[match[2]]


def _share(given: object) -> Fraction:
    try:
        text = str(given).strip()
        share = Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise Unfit(f"{given!r} is not a share such as 15% or 3/20") from None
    if isinstance(given, bool) or not 0 <= share <= 1:
        raise Unfit(f"{given!r} is not between 0 and 1")
    return share


def _bounded(parameter: Parameter, number: N) -> N:
    if parameter.least is not None and number < parameter.least:
        raise Unfit(f"{number:g} is less than {parameter.least:g}")
    if parameter.most is not None and number > parameter.most:
        raise Unfit(f"{number:g} is more than {parameter.most:g}")
    return number
