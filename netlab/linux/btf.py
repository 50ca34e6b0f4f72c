"""Where a member lies in a kernel structure: the kernel's own type information (BTF).

/sys/kernel/btf/vmlinux holds every type of the running kernel (Documentation/bpf/btf.rst): a
section of records, each a few 32-bit words, and a section of names. A structure is found by its
name alone; only for the nameless ones inside it must records be counted, since members refer to
types by number.

    type      name, info, size or type          info: kind << 24 | number of members
    member    name, type, offset in bits
    value     name, number                      of an enum
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

PATH = Path("/sys/kernel/btf/vmlinux")

_HEADER = 24
_STRUCT, _UNION, _ENUM = 4, 5, 6
_CONST, _VOLATILE, _TYPEDEF, _TYPE_TAG = 10, 9, 8, 18
# Words that follow a record, for each of its members or once.
_PER_MEMBER = {4: 3, 5: 3, 6: 2, 13: 2, 15: 3, 19: 3}
_ONCE = {1: 1, 3: 3, 14: 1, 17: 1}


class Member(NamedTuple):
    """A member: its type's number and its offset in octets."""

    kind: int
    offset: int


class Btf:
    """The types of a kernel."""

    def __init__(self, data: bytes) -> None:
        if data[:2] != b"\x9f\xeb":
            raise ValueError("not BTF of this machine's byte order")
        types, size, names, names_size = memoryview(data)[8:_HEADER].cast("I")
        start = int.from_bytes(data[4:8], "little")
        self._names = data[start + names : start + names + names_size]
        self._octets = data[start + types : start + types + size]
        self._words = memoryview(self._octets).cast("I")
        self._starts = [0, 0]
        """Where each type begins, as far as counted; number 0 is void."""

    def offset(self, structure: str, *path: str) -> int:
        """Octets from the start of ``structure`` to the member at the end of ``path``.

        Raises:
            KeyError: there is no such member.
        """
        at = self._named(structure, _STRUCT, path[0])
        total = 0
        for name in path:
            member = self._member(at, name)
            if member is None:
                raise KeyError(f"struct {structure} has no {'.'.join(path)}")
            total += member.offset
            at = self._behind(member.kind)
        return total

    def enumeration(self, name: str, first: str) -> dict[int, str]:
        """Number and name of each value of an enum; ``first`` is one of its names."""
        at = self._named(name, _ENUM, first)
        words = self._words
        count = words[at + 1] & 0xFFFF
        return {words[i + 1]: self._name(words[i]) for i in range(at + 3, at + 3 + 2 * count, 2)}

    def _name(self, offset: int) -> str:
        return self._names[offset : self._names.index(b"\0", offset)].decode()

    def _name_offset(self, name: str) -> int:
        found = self._names.find(b"\0" + name.encode() + b"\0")
        if found < 0:
            raise KeyError(f"this kernel has no {name}")
        return found + 1

    def _named(self, name: str, kind: int, member: str) -> int:
        """The word where the type of that name begins; ``member`` rules out a false match."""
        pattern = self._name_offset(name).to_bytes(4, "little")
        found = self._octets.find(pattern)
        while found >= 0:
            at = found // 4
            if found % 4 == 0 and self._kind(at) == kind and self._has(at, kind, member):
                return at
            found = self._octets.find(pattern, found + 1)
        raise KeyError(f"this kernel has no type {name} with {member}")

    def _kind(self, at: int) -> int:
        return self._words[at + 1] >> 24 & 0x1F if at + 1 < len(self._words) else 0

    def _has(self, at: int, kind: int, member: str) -> bool:
        if kind == _ENUM:
            wanted = self._name_offset(member)
            count = self._words[at + 1] & 0xFFFF
            return wanted in self._words[at + 3 : at + 3 + 2 * count : 2].tolist()
        return self._member(at, member) is not None

    def _member(self, at: int, name: str) -> Member | None:
        """A member of the structure or, at any depth, of a nameless one inside it."""
        wanted = self._name_offset(name)
        words = self._words
        nameless = []
        for i in range(at + 3, at + 3 + 3 * (words[at + 1] & 0xFFFF), 3):
            if i + 2 >= len(words):
                return None
            # With kind_flag the upper octet is the size of a bit field.
            bits = words[i + 2] & 0xFFFFFF if words[at + 1] >> 31 else words[i + 2]
            if words[i] == wanted:
                return Member(words[i + 1], bits // 8)
            if words[i] == 0:
                nameless.append(Member(words[i + 1], bits // 8))
        for inner in nameless:
            start = self._behind(inner.kind)
            found = self._member(start, name) if self._kind(start) in (_STRUCT, _UNION) else None
            if found:
                return Member(found.kind, inner.offset + found.offset)
        return None

    def _behind(self, number: int) -> int:
        """Where a type begins, behind typedefs and qualifiers."""
        while True:
            at = self._start(number)
            if self._kind(at) not in (_CONST, _VOLATILE, _TYPEDEF, _TYPE_TAG):
                return at
            number = self._words[at + 2]

    def _start(self, number: int) -> int:
        """Where a type begins, by counting; kept for the next time."""
        words, starts = self._words, self._starts
        at, end = starts[-1], len(words)
        while len(starts) <= number and at < end:
            info = words[at + 1]
            kind = info >> 24 & 0x1F
            at += 3 + _PER_MEMBER.get(kind, 0) * (info & 0xFFFF) + _ONCE.get(kind, 0)
            starts.append(at)
        if number >= len(starts):
            raise KeyError(f"BTF has no type {number}")
        return starts[number]


def running_kernel() -> Btf:
    """The types of the kernel that runs here; ``OSError`` if it does not publish them."""
    return Btf(PATH.read_bytes())
