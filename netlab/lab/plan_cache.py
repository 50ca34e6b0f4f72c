"""Plans that were made before: the second ``up`` of a file imports neither pydantic nor networkx.

An entry holds the whole text that it was made from and is used only if text, path, version and
the code that makes plans are the same, so it can be stale in no way. A directory or entry that
belongs to somebody else is never believed: a plan names programs to run.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import TYPE_CHECKING

from netlab import __version__
from netlab.plan import codec

if TYPE_CHECKING:
    from netlab.plan.operations import Plan

ENTRIES = 64
"""The oldest entry goes when there are more."""

LARGEST = 1 << 20
"""Octets of topology text that are worth an entry."""


def plan_of(file: str) -> Plan:
    """The plan of a topology file; ``InputError`` with every problem of the file."""
    text = _read(file)
    entry = _entry(file, text) if text is not None else None
    plan = _recall(entry, file, text) if entry and text is not None else None
    if plan is None:
        from netlab.plan.build import build
        from netlab.topology import load

        plan = build(load(file))
        if entry and text is not None:
            _remember(entry, file, text, plan)
    return plan


def _read(file: str) -> str | None:
    """The text, or None where reading it is a problem that ``load`` explains better."""
    try:
        with open(file, encoding="utf-8") as stream:
            text = stream.read(LARGEST + 1)
    except (OSError, UnicodeDecodeError, ValueError):
        return None
    return text if len(text) <= LARGEST else None


def _directory() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "netlab-lab", "plans")


def _entry(file: str, text: str) -> str:
    key = zlib.crc32(f"{file}\0{text}".encode())
    return os.path.join(_directory(), f"{key:08x}.json")


def _recall(entry: str, file: str, text: str) -> Plan | None:
    try:
        for path in (os.path.dirname(entry), entry):
            status = os.lstat(path)
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                return None
        with open(entry, encoding="utf-8") as stream:
            kept = json.load(stream)
        if (kept["made_by"], kept["file"], kept["text"]) == (_maker(), file, text):
            return codec.from_json(kept["plan"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # absent, torn or foreign: as good as none
    return None


def _remember(entry: str, file: str, text: str, plan: Plan) -> None:
    kept = {"made_by": _maker(), "file": file, "text": text, "plan": codec.to_json(plan)}
    directory = os.path.dirname(entry)
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        part = f"{entry}.{os.getpid()}"
        with open(part, "x", encoding="utf-8", opener=_private) as stream:
            json.dump(kept, stream)
        os.replace(part, entry)
        entries = [e.path for e in os.scandir(directory)]
        for path in sorted(entries, key=os.path.getmtime)[:-ENTRIES]:
            os.unlink(path)
    except OSError:
        pass  # a home that cannot be written to costs time, nothing else


def _maker() -> str:
    """The version, and when a file of the code that makes plans was last changed."""
    package = os.path.dirname(os.path.dirname(__file__))
    latest = 0
    for room in ("topology", "plan", "middlebox"):
        with os.scandir(os.path.join(package, room)) as files:
            latest = max(latest, *(file.stat().st_mtime_ns for file in files))
    return f"{__version__} {latest}"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
