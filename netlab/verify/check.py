"""One thing that a topology declares, what was measured of it, and whether the two agree."""

from __future__ import annotations

from typing import Any, NamedTuple


class Check(NamedTuple):
    """A row: ``how`` says what was sent and what came, ``why`` why nothing could be measured."""

    node: str
    name: str
    declared: Any
    measured: Any
    how: str = ""
    why: str = ""
    source: str = ""
    """The document that says what the declared word means."""

    @property
    def ok(self) -> bool:
        """Whether it was measured and is as declared."""
        return not self.why and bool(self.declared == self.measured)

    @property
    def is_otherwise(self) -> bool:
        """Whether it was measured and is something else."""
        return not self.why and not self.ok

    @property
    def verdict(self) -> str:
        """``as declared``, ``otherwise`` or ``not measured: why``."""
        if self.why:
            return f"not measured: {self.why}"
        return "as declared" if self.ok else "otherwise"


def classified(table: dict[str, Any], declared: str, seen: dict[str, str]) -> tuple[str, str]:
    """Declared and measured in the words of a table of expectations.

    ``table`` has for each word what is seen of it; what fits no word is shown as it was seen.
    """
    expected = table[declared]
    if all(seen.get(what) == result for what, result in expected.items()):
        return declared, declared
    for word, other in table.items():
        if isinstance(other, dict) and all(seen.get(what) == r for what, r in other.items()):
            return declared, word
    return declared, "; ".join(f"{what}: {result}" for what, result in seen.items())
