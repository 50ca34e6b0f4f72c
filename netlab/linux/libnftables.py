"""nftables rulesets through libnftables, inside the calling thread's namespace."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from netlab.errors import Diagnostic, LabError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

HINT = "install Debian's libnftables1 and the Python package pip-nftables"


_ERROR = re.compile(r"\S+?:(?P<line>\d+):(?P<column>\d+)(?:-\d+)?: Error: (?P<text>.*)")


class Complaint(NamedTuple):
    """What nft says of a ruleset: line and column count from 1, both 0 if it gave no place."""

    line: int
    column: int
    text: str


def load(text: str) -> Sequence[Complaint]:
    """Load a ruleset as one transaction; empty if nft took it, else nothing was loaded."""
    context = _context()
    # From a buffer nft 1.0 reports no line numbers; from a file it does.
    fd = os.memfd_create("rules")
    try:
        with open(fd, "w", encoding="utf-8", closefd=False) as stream:
            stream.write(text)
        code, _, errors = context.cmd(f'include "/proc/self/fd/{fd}"\n')
    finally:
        os.close(fd)
    return complaints(errors) if code else ()


def _context() -> Any:
    try:
        import nftables

        return nftables.Nftables()
    except (ImportError, OSError) as error:
        message = f"rules need libnftables: {error}"
        raise Unavailable(Diagnostic("E407", message, hint=HINT)) from None


def listed(what: str) -> str:
    """What ``nft -j list WHAT`` prints; empty if nft refuses."""
    context = _context()
    context.set_json_output(True)
    context.set_numeric_proto_output(True)
    code, output, _ = context.cmd(f"list {what}")
    return "" if code else str(output)


def age(seconds: int, protocol: int | None = None) -> tuple[int, int]:
    """Let what sets and maps keep for a time have been there for that many seconds longer.

    With ``protocol`` only elements whose key holds it. Returns how many grew older, and how many of
    them have expired by it.

    Raises:
        LabError: nft refused the elements.
    """
    context = _context()
    context.set_json_output(True)
    context.set_numeric_proto_output(True)  # names depend on /etc/protocols
    commands: list[dict[str, Any]] = []
    older = gone = 0
    for kind in ("set", "map"):
        _, listed, _ = context.cmd(f"list {kind}s")
        for each in json.loads(listed or '{"nftables": []}')["nftables"]:
            for element in each.get(kind, {}).get("elem", ()):
                # An element of a map is a pair: the key with its times, and the value.
                key, *value = element if isinstance(element, list) else [element]
                timed = key.get("elem", {}) if isinstance(key, dict) else {}
                if "expires" not in timed or not _speaks_of(protocol, timed["val"]):
                    continue
                at = {name: each[kind][name] for name in ("family", "table", "name")}
                left = max(0, timed["expires"] - seconds)
                commands.append({"delete": {"element": at | {"elem": [timed["val"]]}}})
                older += 1
                gone += not left
                if left:
                    # A rule that updates an element moves its end, beyond its timeout too; nft
                    # takes an element back only if its end lies within.
                    timeout = max(timed.get("timeout", 0), left)
                    aged = {"elem": timed | {"timeout": timeout, "expires": left}}
                    again = [[aged, *value]] if value else [aged]
                    commands.append({"add": {"element": at | {"elem": again}}})
    if commands:
        code, _, errors = context.json_cmd({"nftables": commands})
        if code:
            raise LabError(Diagnostic("E418", f"nft: {' '.join(errors.split())}"))
    return older, gone


class Kept(NamedTuple):
    """A named set or map with its elements: the words of the key, and of the value if there is one.

    ``is_timed`` says that its elements expire.
    """

    family: str
    table: str
    name: str
    kind: Literal["set", "map"]
    is_timed: bool
    elements: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


def kept() -> list[Kept]:
    """Every named set and map of the calling thread's namespace."""
    context = _context()
    context.set_json_output(True)
    context.set_numeric_proto_output(True)
    kinds: tuple[Literal["set", "map"], ...] = ("set", "map")
    found = []
    for kind in kinds:
        _, listed, _ = context.cmd(f"list {kind}s")
        for each in json.loads(listed or '{"nftables": []}')["nftables"]:
            if kind in each:
                about = each[kind]
                elements = tuple(_element(element) for element in about.get("elem", ()))
                place = about["family"], about["table"], about["name"]
                is_timed = "timeout" in about or "timeout" in about.get("flags", ())
                found.append(Kept(*place, kind, is_timed, elements))
    return found


def _element(element: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    key, value = element if isinstance(element, list) else (element, None)
    if isinstance(key, dict) and "elem" in key:
        key = key["elem"]["val"]
    return _words(key), _words(value)


def _words(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    many = value["concat"] if isinstance(value, dict) and "concat" in value else [value]
    return tuple(map(str, many))


def _speaks_of(protocol: int | None, key: Any) -> bool:
    if protocol is None:
        return True
    return isinstance(key, dict) and protocol in key.get("concat", ())


class Fill(NamedTuple):
    """A set or map that rules fill: how many elements it holds, and how many it may (0: any)."""

    name: str
    elements: int
    size: int


def fill(table: str) -> list[Fill]:
    """Of the sets and maps of a table, those that packets fill."""
    context = _context()
    context.set_json_output(True)
    found = []
    for kind in ("map", "set"):
        _, listed, _ = context.cmd(f"list {kind}s")
        for each in json.loads(listed or '{"nftables": []}')["nftables"]:
            one = each.get(kind, {})
            if one.get("table") == table and "timeout" in one.get("flags", ()):
                found.append(Fill(one["name"], len(one.get("elem", ())), one.get("size", 0)))
    return found


def tables() -> Sequence[str]:
    """Every table here, as ``inet netlab``; empty where nft cannot be asked."""
    try:
        import nftables
    except ImportError:
        return ()
    try:
        context = nftables.Nftables()
    except OSError:
        return ()
    code, listed, _ = context.cmd("list tables")
    return [] if code else [line.removeprefix("table ") for line in listed.splitlines()]


def complaints(errors: str) -> Sequence[Complaint]:
    """Read nft's messages, ``/dev/stdin:2:5-10: Error: syntax error, unexpected newline``."""
    found = [
        Complaint(int(m["line"]), int(m["column"]), m["text"])
        for m in re.finditer(
            r"^\S*?:(?P<line>\d+):(?P<column>\d+)(?:-\d+)?: Error: (?P<text>.*)$",
            errors,
            re.MULTILINE,
        )
    ]
    return found or [Complaint(0, 0, " ".join(errors.split()) or "refused without a reason")]
