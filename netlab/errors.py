"""What netlab says when something is wrong: one shape for every problem.

    NetlabError            the base; carries one or more diagnostics
    ├── InputError         a bad file or wrong usage          exit code 2
    └── LabError           the thing itself failed            exit code 1
        └── Unavailable    this machine does not allow it     exit code 1

Records here are NamedTuples, as everywhere on the path of a plain ``netlab up``: importing
``dataclasses`` costs more time than building a four-node lab. For the same reason annotations
are not postponed here: a NamedTuple compiles each one that is a string, which takes 1 ms.
"""

from typing import NamedTuple


class Position(NamedTuple):
    """A place in a file, as an editor counts: line and column start at 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Diagnostic(NamedTuple):
    """One problem: what is wrong, where, and what to do about it.

    ``code`` is stable and documented (``E101``); ``source`` is the offending line as it is
    in the file, without its newline; ``hint`` says what would be right.
    """

    code: str
    message: str
    position: Position | None = None
    source: str = ""
    hint: str = ""

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        where = f"{self.position}: " if self.position else ""
        lines = [f"{where}error[{self.code}]: {self.message}"]
        if self.position and self.source:
            number = str(self.position.line)
            # Tabs are kept in the margin so that the caret is under the right character.
            margin = "".join(
                c if c == "\t" else " " for c in self.source[: self.position.column - 1]
            )
            lines += [
                f"  {number} | {self.source}",
                f"  {' ' * len(number)} | {margin}^",
            ]
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return lines

    def to_json(self) -> dict[str, str | int | None]:
        """The flat form that ``check --json`` prints."""
        place = self.position
        return {
            "code": self.code,
            "file": place.file if place else None,
            "line": place.line if place else None,
            "column": place.column if place else None,
            "message": self.message,
            "hint": self.hint,
        }


class NetlabError(Exception):
    """Something that a user can act on; never a bug in netlab."""

    exit_code = 1

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("\n".join(str(d) for d in diagnostics))
        self.diagnostics = diagnostics

    def __reduce__(self) -> tuple[type["NetlabError"], tuple[Diagnostic, ...]]:
        """Pickle by the constructor's arguments, not by the text."""
        return type(self), self.diagnostics


class InputError(NetlabError):
    """A file or a command line that cannot be used."""

    exit_code = 2


class LabError(NetlabError):
    """The machine refused, a program failed, or a lab is not in the state that was asked for."""


class Unavailable(LabError):
    """This machine or this user lacks something; the hint says how to get it."""
