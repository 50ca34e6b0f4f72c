"""What was done of a matrix before it was interrupted: a line of JSON for each cell.

The file is there only while a matrix runs, or after it was stopped; the same command then goes on
where the other ended. A line counts only for the very same cell: traffic, plan of the lab, program
and kernel. A torn last line counts for nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

import netlab
from netlab.plan import codec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from netlab.plan.operations import Plan


class Cell(Protocol):
    """What a worker has to know: a NamedTuple of plain values, and the plan of a lab."""

    @property
    def plan(self) -> Plan:
        """The plan of its lab."""
        ...

    def _asdict(self) -> dict[str, Any]: ...


class Result(Protocol):
    """What comes of a cell."""

    def to_json(self) -> dict[str, Any]:
        """As a line of the journal has it."""
        ...


R = TypeVar("R", bound=Result)


def key(cell: Cell) -> str:
    """What a result depends on, in 64 hexadecimal digits."""
    content = [
        cell._asdict() | {"plan": codec.to_json(cell.plan)},
        _program(),
        platform.release(),
        os.geteuid() == 0,
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@cache
def _program() -> str:
    """The version, and when a file of the program was last changed."""
    latest = max(file.stat().st_mtime_ns for file in Path(netlab.__file__).parent.rglob("*.py"))
    return f"{netlab.__version__} {latest}"


def place(keys: Sequence[str]) -> Path:
    """Where the journal of these cells is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = hashlib.sha256("".join(keys).encode()).hexdigest()[:16]
    return Path(base) / "netlab-lab" / "matrix" / f"{name}.jsonl"


class Journal(Generic[R]):
    """The journal of these cells, for as long as a ``with`` block lasts.

    ``done`` is what is known already, by key. The file is removed when the block ends well. While
    another process has it, and where it cannot be written, there is none: nothing is known, and
    nothing is kept. ``fresh`` forgets what is known; ``read`` makes a result of its JSON again, or
    raises ``KeyError`` or ``TypeError``.
    """

    def __init__(
        self, keys: Sequence[str], read: Callable[[dict[str, Any]], R], *, fresh: bool = False
    ) -> None:
        self.done: dict[str, R] = {}
        self._read = read
        self._keys = frozenset(keys)
        self._path = place(keys)
        self._fresh = fresh
        self._file: int | None = None

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            opened = os.open(self._path, flags, 0o600)
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._begin(opened)
            except OSError:
                os.close(opened)
            else:
                self._file = opened
        return self

    def _begin(self, opened: int) -> None:
        if self._fresh or os.fstat(opened).st_uid != os.geteuid():
            os.ftruncate(opened, 0)
            return
        whole = 0
        for line in self._path.read_bytes().splitlines(keepends=True):
            try:
                entry = json.loads(line)
                known, found = entry["key"], self._read(entry)
            except (ValueError, KeyError, TypeError):
                break
            whole += len(line)
            if known in self._keys:
                self.done[known] = found
        os.ftruncate(opened, whole)

    def note(self, known: str, found: R) -> None:
        """Keep one result."""
        self.done[known] = found
        if self._file is not None:
            line = json.dumps({"key": known, **found.to_json()}, ensure_ascii=False)
            with contextlib.suppress(OSError):  # a full disk costs the journal, not the matrix
                os.write(self._file, f"{line}\n".encode())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            if kind is None:
                with contextlib.suppress(OSError):
                    self._path.unlink()
            os.close(self._file)
            self._file = None
