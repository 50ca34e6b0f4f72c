"""YAML text -> a tree of values that know their line and column.

The parser's events are read one by one and never recursed into, and every limit is checked
while reading, so a hostile file costs no more than a good one: 1 MiB of text, 40 levels,
200,000 values after aliases are followed ("billion laughs" expands by aliases of aliases).

What YAML 1.1 and 1.2 read differently (``no``, ``on``, ``12:30``, ``010``) is never guessed: such
a value stays marked as ambiguous until the schema knows whether text was wanted.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import yaml

from netlab.topology.problems import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from netlab.topology.problems import Problems, SourceLocation

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_VALUES = 200_000


class Plain(str):
    """An unquoted scalar that is not, or not surely, text.

    ``value`` is what YAML 1.2 makes of it; ``trap`` says what YAML 1.1 would make of it where
    the two differ or where a reader would be surprised, and is empty for a clear case.
    """

    __slots__ = ("trap", "value")
    value: bool | int | float | None
    trap: str

    @classmethod
    def of(cls, text: str, value: float | None, trap: str = "") -> Plain:
        """``text`` as written in the file, with its value."""
        plain = cls(text)
        plain.value = value
        plain.trap = trap
        return plain


@dataclass(slots=True)
class Scalar:
    """A leaf; ``value`` is text or Plain. Text in a ``block`` has its lines below this place."""

    value: str
    line: int
    column: int
    quoted: bool = False
    size: int = 1
    height: int = 0
    block: bool = False


@dataclass(slots=True)
class Mapping:
    """Entries by key text; the key's own scalar has its position."""

    line: int
    column: int
    entries: dict[str, tuple[Scalar, Tree]] = field(default_factory=dict)
    size: int = 1
    height: int = 1


@dataclass(slots=True)
class Listing:
    """Items in order."""

    line: int
    column: int
    items: list[Tree] = field(default_factory=list)
    size: int = 1
    height: int = 1


Tree: TypeAlias = Scalar | Mapping | Listing


START = Scalar("", 1, 1)
"""Where a file begins: the place of a problem of the whole file."""


def read(path: Path, problems: Problems) -> str:
    """The text of a topology file; raises InputError if it cannot be one."""
    try:
        # Without O_NONBLOCK the opening of a pipe waits for somebody to write to it.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        mode = os.fstat(handle).st_mode
        raw = b""
        if stat.S_ISREG(mode):
            with os.fdopen(handle, "rb") as file:
                raw = file.read(MAX_BYTES + 1)
        else:
            os.close(handle)
    except FileNotFoundError:
        beside = [p.name for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
        hint = nearest(path.name, beside) if beside else "is the path right?"
        problems.add("E101", "this file does not exist", START, hint)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        problems.add(
            "E101", f"this file cannot be read: {reason}", START, "look at its owner and mode"
        )
    else:
        if stat.S_ISDIR(mode):
            inside = sorted(p.name for p in path.glob("*.yaml"))
            hint = f"name a file in it: {path / inside[0]}" if inside else "name a file"
            problems.add("E102", "this is a directory, not a topology file", START, hint)
        elif not stat.S_ISREG(mode):
            problems.add("E102", "this is not a regular file", START, "name a file on a disk")
    problems.raise_if_any()
    return decode(raw, problems)


def decode(raw: bytes, problems: Problems) -> str:
    """Bytes to text; raises InputError if they are too many or not UTF-8."""
    if len(raw) > MAX_BYTES:
        problems.add(
            "E103",
            f"this file is larger than {MAX_BYTES // 1024} KiB",
            START,
            "a lab of 1000 nodes needs about 100 KiB; is this a topology file?",
        )
        problems.raise_if_any()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        place = Scalar(
            "",
            before.count(b"\n") + 1,
            len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1,
        )
        problems.lines = before.decode("utf-8", "replace").splitlines()
        problems.add(
            "E104",
            f"byte 0x{raw[error.start]:02x} is not UTF-8",
            place,
            "save the file as UTF-8",
        )
        problems.raise_if_any()
        raise


def parse(text: str, problems: Problems) -> Mapping:
    """Text to its tree; raises InputError where there is no tree to go on with."""
    problems.lines = text.split("\n")
    try:
        tree = _Composer(problems).compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Scalar("", mark.line + 1, mark.column + 1) if mark else START
        problems.add("E106", f"not YAML: {_reason(error)}", place, _syntax_hint(error, problems))
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Scalar("", before.count("\n") + 1, len(before) - before.rfind("\n"))
        code = error.character if isinstance(error.character, int) else ord(error.character)
        message = f"not YAML: the control character U+{code:04X} is not allowed"
        problems.add("E106", message, place, 'in "quotes" it may be written as an escape')
    except _GiveUp:
        pass
    else:
        if isinstance(tree, Mapping):
            return tree
        if tree is None or (isinstance(tree, Scalar) and not tree.value):
            problems.add(
                "E105",
                "this file is empty",
                START,
                "the smallest lab: `nodes: {a: , b: }` and `links: [[a:eth0, b:eth0]]`",
            )
        else:
            problems.add(
                "E202",
                f"a topology is a mapping, not {describe(tree)}",
                tree,
                "it begins with `nodes:`",
            )
    problems.raise_if_any()
    raise AssertionError("unreachable: a problem was added above")


def _reason(error: yaml.MarkedYAMLError) -> str:
    context = f" {error.context}" if error.context else ""
    return f"{error.problem}{context}"


def _syntax_hint(error: yaml.MarkedYAMLError, problems: Problems) -> str:
    mark = error.problem_mark
    if mark and mark.line < len(problems.lines):
        line = problems.lines[mark.line]
        if "\t" in line[: len(line) - len(line.lstrip())]:
            return "YAML does not allow tabs for indentation: use spaces"
        if error.problem and "mapping values" in error.problem:
            return "a value that holds `: ` needs quotes"
    return "look for an unbalanced bracket or quote, or a wrong indent, here or just before"


class _GiveUp(Exception):
    """A problem was noted after which the rest of the text has no meaning."""


class _Open:
    """A mapping or sequence whose end has not been read yet."""

    __slots__ = ("anchor", "key", "merges", "node")

    def __init__(self, node: Mapping | Listing, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.key: Scalar | None = None
        self.merges: list[Tree] = []


class _Composer:
    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.anchors: dict[str, Tree | None] = {}
        self.open: list[_Open] = []
        self.root: Tree | None = None
        self.values = 0

    def compose(self, text: str) -> Tree | None:
        documents = 0
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            mark = event.start_mark
            assert mark is not None
            place = Scalar("", mark.line + 1, mark.column + 1)
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        self._stop("E112", "a second YAML document", place, "one file, one lab")
                case yaml.ScalarEvent():
                    self._tag(event, place)
                    quoted = event.style in ("'", '"')
                    plain = event.implicit[0] and not event.tag
                    value = resolve(event.value) if plain else event.value
                    scalar = Scalar(value, place.line, place.column, quoted)
                    scalar.block = event.style == "|"
                    self._name(event.anchor, scalar)
                    self._put(scalar)
                case yaml.AliasEvent():
                    self._put(self._alias(event.anchor or "", place), place)
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._tag(event, place)
                    self._begin(event, place)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._end()
                case _:
                    pass
        return self.root

    def _stop(self, code: str, message: str, place: SourceLocation, hint: str = "") -> None:
        self.problems.add(code, message, place, hint)
        raise _GiveUp

    def _tag(self, event: yaml.NodeEvent, place: Scalar) -> None:
        tag = getattr(event, "tag", None)
        if tag and tag != "!":
            name = tag.replace("tag:yaml.org,2002:", "!!")
            self.problems.add(
                "E108", f"tag `{name}` is not allowed", place, "remove it; quotes make text"
            )

    def _name(self, anchor: str | None, node: Tree | None) -> None:
        if anchor:
            self.anchors[anchor] = node

    def _alias(self, anchor: str, place: Scalar) -> Tree:
        if anchor not in self.anchors:
            self._stop(
                "E109", f"alias *{anchor} has no anchor before it", place, "quote text with `*`"
            )
        node = self.anchors[anchor]
        if node is None:
            self._stop("E109", f"anchor &{anchor} contains itself", place, "write the value out")
        assert node is not None
        return node

    def _begin(self, event: yaml.CollectionStartEvent, place: Scalar) -> None:
        if len(self.open) >= MAX_DEPTH:
            self._too_deep(place)
        kind = Mapping if isinstance(event, yaml.MappingStartEvent) else Listing
        if self.open and isinstance(self.open[-1].node, Mapping) and self.open[-1].key is None:
            self._stop("E113", "a key must be a plain word", place, "quote it if it is text")
        self._name(event.anchor, None)
        self.open.append(_Open(kind(place.line, place.column), event.anchor))

    def _too_deep(self, place: SourceLocation) -> None:
        hint = "a topology needs seven"
        self._stop("E110", f"more than {MAX_DEPTH} levels of nesting", place, hint)

    def _end(self) -> None:
        done = self.open.pop()
        if isinstance(done.node, Mapping):
            for source in done.merges:
                self._merge(done.node, source)
        self._name(done.anchor, done.node)
        self._put(done.node)

    def _put(self, node: Tree, place: SourceLocation | None = None) -> None:
        self.values += node.size if place else 1
        if self.values > MAX_VALUES:
            self._stop(
                "E109",
                f"aliases expand to more than {MAX_VALUES} values",
                place or node,
                "an anchor of anchors grows without bound",
            )
        if len(self.open) + node.height > MAX_DEPTH:
            self._too_deep(place or node)
        if not self.open:
            self.root = node
            return
        above = self.open[-1]
        above.node.size += node.size
        above.node.height = max(above.node.height, node.height + 1)
        if isinstance(above.node, Listing):
            above.node.items.append(node)
        elif above.key is None:
            self._key(above, node, place)
        else:
            key, above.key = above.key, None
            self._entry(above, key, node)

    def _key(self, above: _Open, node: Tree, place: SourceLocation | None) -> None:
        if not isinstance(node, Scalar):
            self._stop(
                "E113", "a key must be a plain word", place or node, "quote it if it is text"
            )
        else:
            above.key = node

    def _entry(self, above: _Open, key: Scalar, node: Tree) -> None:
        assert isinstance(above.node, Mapping)
        if key.value == "<<" and not key.quoted:
            above.merges.append(node)
            return
        known = above.node.entries.get(key.value)
        if known:
            self.problems.add(
                "E107",
                f"duplicate key `{key.value}`",
                key,
                f"first on line {known[0].line}; YAML would silently keep only one",
            )
            return
        above.node.entries[key.value] = (key, node)

    def _merge(self, into: Mapping, source: Tree) -> None:
        """YAML's ``<<``: keys that are written out win, then the first source."""
        sources = source.items if isinstance(source, Listing) else [source]
        for each in sources:
            if not isinstance(each, Mapping):
                self.problems.add(
                    "E113", f"`<<` merges mappings, not {describe(each)}", each, "write `<<: *name`"
                )
                continue
            for name, entry in each.entries.items():
                into.entries.setdefault(name, entry)


_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+)")
_OCTAL = re.compile(r"[-+]?0[0-7_]+|0o[0-7]+")
_OTHER_INTEGER = re.compile(r"[-+]?(?:0x[0-9a-fA-F_]+|0b[01_]+|[0-9][0-9_]*)")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_YES = frozenset(w for b in ("yes", "on") for w in (b, b.title(), b.upper()))
_NO = frozenset(w for b in ("no", "off") for w in (b, b.title(), b.upper()))


def resolve(text: str) -> str:
    """An unquoted scalar's reading: text as it is, everything else as Plain."""
    if text in _NULL:
        return Plain.of(text, None)
    if text in _TRUE or text in _FALSE:
        return Plain.of(text, text in _TRUE)
    if text in _YES or text in _NO:
        return Plain.of(text, None, "true" if text in _YES else "false")
    if not (text[0].isdigit() or text[0] in "+-."):
        return text
    if _INTEGER.fullmatch(text):
        return Plain.of(text, int(text))
    if _OCTAL.fullmatch(text):
        return Plain.of(text, None, "an octal number")
    if _OTHER_INTEGER.fullmatch(text):
        return Plain.of(text, None, "a number")
    if _FLOAT.fullmatch(text) and len(text) < 40:
        return Plain.of(text, float(text))
    if _SEXAGESIMAL.fullmatch(text):
        return Plain.of(text, None, f"the number {_sixty(text)}")
    if _DATE.fullmatch(text):
        return Plain.of(text, None, "a date")
    return text


def _sixty(text: str) -> str:
    total = 0
    for part in text.lstrip("+-").replace("_", "").split(".")[0].split(":")[:6]:
        total = total * 60 + int(part[:9])
    return str(total)


def describe(node: Tree) -> str:
    """What a value is, in words a user knows: ``a list``, ``the number 3``."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Listing):
        return "a list"
    return describe_value(node.value)


def describe_value(value: str) -> str:
    """As describe, for a scalar's value."""
    if isinstance(value, Plain):
        if value.trap:
            return f"`{value}`, which YAML 1.1 reads as {value.trap}"
        if value.value is None:
            return "nothing"
        kind = "the number " if not isinstance(value.value, bool) else ""
        return f"{kind}{value}"
    shown = value if len(value) <= 40 else value[:39] + "…"
    return f"the string `{shown}`" if shown.isprintable() else "text"


def to_data(node: Tree) -> object:
    """The tree as dicts, lists and (Plain) strings, as the schema takes it."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Listing):
        return [to_data(item) for item in node.items]
    return {key.value: to_data(value) for key, value in node.entries.values()}


def find(root: Tree, path: Sequence[str | int], *, key: bool = False) -> Scalar | Mapping | Listing:
    """The place that ``path`` leads to, or as near to it as the tree goes.

    Steps that the tree does not have are passed over: a short form (a list where the schema
    knows a mapping with ``ends``) has fewer levels than the schema. With ``key`` the place is
    that of the key, not of its value.
    """
    node, place = root, root
    for step, following in zip(path, [*path[1:], None], strict=True):
        if isinstance(node, Mapping) and str(step) in node.entries:
            entry = node.entries[str(step)]
            node = entry[1]
            wants_key = following == "[key]" or (following is None and key)
            place = entry[0] if wants_key else node
        elif isinstance(node, Listing) and isinstance(step, int) and step < len(node.items):
            node = place = node.items[step]
    return place
