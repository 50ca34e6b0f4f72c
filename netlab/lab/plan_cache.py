"""Plans that were made before: the second ``up`` of a file imports neither pydantic nor networkx.

An entry holds the whole text that it was made from, with a checksum, and is used only if text,
path, version, the code that makes plans and every file that the plan names are the same, so it can
be stale in no way. What others could have written is never believed: a plan names programs to run.
"""

from __future__ import annotations

import json
import os
import re
import stat
import zlib
from typing import TYPE_CHECKING

from netlab import __version__
from netlab.plan import codec
from netlab.plan.operations import StartProgram

if TYPE_CHECKING:
    from netlab.plan.operations import Plan

ENTRIES = 64
"""The oldest entry goes when there are more."""

LARGEST = 1 << 20
"""Octets of topology text that are worth an entry."""

_OURS = re.compile(r"[0-9a-f]{8}\.json(\.[0-9]+)?")
"""The names that we give to entries, and to those that are being written."""


def plan_of(file: str) -> Plan:
    """The plan of a topology file; ``InputError`` with every problem of the file."""
    text = _read(file)
    entry = _entry(file, text) if text is not None and not _names_presets(text) else None
    plan = _recall(entry, file, text) if entry and text is not None else None
    if plan is None:
        from netlab.plan.build import build
        from netlab.predict.suggest import suggestion
        from netlab.topology import load

        plan = build(load(file))
        plan = plan._replace(suggestion=suggestion(plan))
        if entry and text is not None:
            _remember(entry, file, text, plan)
    return plan


def _names_presets(text: str) -> bool:
    """Whether a file with a NAT's preset may be named; what is in it is not looked at here."""
    return "preset" in text and (".yaml" in text or ".yml" in text)


def _read(file: str) -> str | None:
    """The text, or None where reading it is a problem that ``load`` explains better."""
    raw = _octets(file)
    try:
        return raw.decode() if raw is not None else None
    except UnicodeDecodeError:
        return None


def _octets(file: str) -> bytes | None:
    """What is in a regular file that is not too large; a pipe would be waited for."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    with open(handle, "rb") as stream:
        raw = stream.read(LARGEST + 1)
    return raw if len(raw) <= LARGEST else None


def _directory() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.realpath(os.path.join(base, "netlab-lab", "plans"))


def _entry(file: str, text: str) -> str:
    key = zlib.crc32(f"{os.path.realpath(file)}\0{file}\0{text}".encode(errors="surrogateescape"))
    return os.path.join(_directory(), f"{key:08x}.json")


def _recall(entry: str, file: str, text: str) -> Plan | None:
    try:
        if not _is_ours(entry) or not _is_private(os.path.dirname(entry)):
            return None
        with open(entry, "rb") as stream:
            checksum, _, body = stream.read().partition(b"\n")
        if int(checksum, 16) != zlib.crc32(body):
            return None
        kept = json.loads(body)
        if kept["of"] == _origin(file, text) and kept["named"] == _contents(list(kept["named"])):
            return codec.from_json(kept["plan"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass  # absent, torn or foreign: as good as none
    return None


def _origin(file: str, text: str) -> list[str]:
    """Everything but the files that it names that a plan follows from."""
    return [_maker(), os.path.realpath(file), file, text]


def _named(plan: Plan) -> list[str]:
    """The files of middleboxes in Python, ``/ABSOLUTE/FILE.py:CLASS``."""
    return sorted(
        {
            box["python"].rpartition(":")[0]
            for operation in plan.operations
            if isinstance(operation, StartProgram) and isinstance(operation.arguments, list)
            for box in operation.arguments
            if "python" in box
        }
    )


def _contents(files: list[str]) -> dict[str, list[int] | None]:
    """Length and checksum of each file, None for one that cannot be read."""
    octets = {file: _octets(file) for file in files}
    return {
        file: None if raw is None else [len(raw), zlib.crc32(raw)] for file, raw in octets.items()
    }


def _is_ours(path: str) -> bool:
    """Whether only this user may write to a file or directory."""
    status = os.lstat(path)
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _is_private(directory: str) -> bool:
    """Whether nobody else can exchange a directory: it and those above are safe.

    Those above are root's or ours; one that others may write to must be sticky, as /tmp is.
    """
    if not _is_ours(directory) or os.path.realpath(directory) != directory:
        return False
    while directory != "/":
        directory = os.path.dirname(directory)
        status = os.lstat(directory)
        if status.st_uid not in (0, os.geteuid()):
            return False
        if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
            return False
    return True


def _remember(entry: str, file: str, text: str, plan: Plan) -> None:
    kept = {
        "of": _origin(file, text),
        "named": _contents(_named(plan)),
        "plan": codec.to_json(plan),
    }
    directory = os.path.dirname(entry)
    part = f"{entry}.{os.getpid()}"
    try:
        body = json.dumps(kept).encode()
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if not _is_private(directory):
            return
        try:
            with open(part, "xb", opener=_private) as stream:
                stream.write(b"%08x\n" % zlib.crc32(body) + body)
            os.replace(part, entry)
        except OSError:
            os.unlink(part)
            return
        with os.scandir(directory) as found:
            entries = [e.path for e in found if _OURS.fullmatch(e.name)]
        for path in sorted(entries, key=os.path.getmtime)[:-ENTRIES]:
            os.unlink(path)
    except (OSError, ValueError, RecursionError):
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
