"""The shape of a catalogue entry: one kind of middlebox, described and made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.middlebox.parameters import Parameter, Unfit, Value, bare_number, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from netlab.middlebox.box import Middlebox


def depends(*_: object, **__: object) -> None:
    """For a kind whose ``changes`` or ``arrivals`` do not follow from its parameters."""


class Row(NamedTuple):
    """One nftables rule: its filter hook, its priority, and its statement."""

    hook: str
    priority: int
    statement: str


class Rules(NamedTuple):
    """All that a kind made of rules needs: rules, sets they use, settings of the namespace."""

    rows: tuple[Row, ...]
    declarations: tuple[str, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. Exactly one of ``rules`` and ``box`` makes it, from its parameters by name.

    ``summary`` is a paragraph, ``source`` where the behaviour was described or measured, ``seen``
    how an endpoint can detect the box.

    For a kind made of rules, ``changes`` derives from the parameters the effect on a SYN, in the
    notation of ``tracebox`` (nothing, if it is left out; ``None`` if it depends on others), and
    ``arrivals`` which of a count of datagrams of one flow arrive (all; ``None`` if it depends on
    time). Of a program both are known by simulation.
    """

    name: str
    summary: str
    source: str
    seen: str
    parameters: tuple[Parameter, ...] = ()
    rules: Callable[..., Rules] | None = None
    box: Callable[..., Middlebox] | None = None
    changes: Callable[..., tuple[str, ...] | None] | None = None
    arrivals: Callable[..., list[int] | None] | None = None

    @property
    def is_rules(self) -> bool:
        """True if it belongs in a node that forwards, False if it belongs on a link."""
        return self.rules is not None

    def values(self, given: Mapping[str, object]) -> dict[str, Value]:
        """Every parameter with its value, as keyword arguments; raises ``Unfit``."""
        return {
            p.name.replace("-", "_"): read(p, given[p.name]) if p.name in given else p.default
            for p in self.parameters
        }

    def problems(self, given: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
        """(parameter, message, hint) for all that is wrong with what a file gives."""
        known = {p.name: p for p in self.parameters}
        for name, value in given.items():
            if name not in known:
                hint = f"it has: {', '.join(known)}" if known else "it has no parameters"
                yield name, f"{self.name} has no parameter {name!r}", hint
                continue
            if ways := bare_number(known[name], value):
                yield name, f"{self.name}: {name}: {value} has no unit", f"write {ways}"
                continue
            try:
                read(known[name], value)
            except Unfit as unfit:
                yield name, f"{self.name}: {name}: {unfit}", known[name].help
        for p in self.parameters:
            if p.required and p.name not in given:
                yield p.name, f"{self.name} needs the parameter {p.name!r}", p.help

    def make_rules(self, given: Mapping[str, object]) -> Rules:
        """The rules for parameters that have no ``problems``."""
        assert self.rules is not None
        return self.rules(**self.values(given))

    def expected_changes(self, given: Mapping[str, object]) -> tuple[str, ...] | None:
        """The effect on a SYN, for parameters that have no ``problems``."""
        return self.changes(**self.values(given)) if self.changes else ()

    def expected_arrivals(self, count: int, given: Mapping[str, object]) -> list[int] | None:
        """Which of ``count`` numbered datagrams arrive; ``None`` if that depends on time."""
        return self.arrivals(count, **self.values(given)) if self.arrivals else list(range(count))

    def make_box(self, given: Mapping[str, Any]) -> Middlebox:
        """A new box for parameters that have no ``problems``."""
        assert self.box is not None
        return self.box(**self.values(given))
