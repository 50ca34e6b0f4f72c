"""BTF, as the kernel's documentation lays it out, built here octet by octet."""

from __future__ import annotations

import struct

import pytest

from netlab.linux.btf import Btf

STRUCT, UNION, ENUM, TYPEDEF, INT = 4, 5, 6, 8, 1


class Blob:
    """Types are numbered from 1 in the order in which they are added."""

    def __init__(self) -> None:
        self.names = b"\0"
        self.types = b""

    def name(self, text: str) -> int:
        if not text:
            return 0
        self.names += text.encode() + b"\0"
        return len(self.names) - len(text) - 1

    def add(self, name: str, kind: int, size: int, members=(), extra: bytes = b"") -> None:
        head = struct.pack("<3I", self.name(name), kind << 24 | len(members), size)
        body = b"".join(struct.pack(f"<{len(m)}I", self.name(m[0]), *m[1:]) for m in members)
        self.types += head + body + extra

    def octets(self) -> bytes:
        sizes = (0, len(self.types), len(self.types), len(self.names))
        return struct.pack("<HBBI4I", 0xEB9F, 1, 0, 24, *sizes) + self.types + self.names


@pytest.fixture
def types() -> Btf:
    blob = Blob()
    blob.add("int", INT, 4, extra=struct.pack("<I", 32))
    blob.add("inner", STRUCT, 8, [("x", 1, 0), ("deep", 1, 32)])
    blob.add("inner_t", TYPEDEF, 2)
    blob.add("", UNION, 8, [("either", 1, 0), ("other", 1, 0)])
    blob.add("outer", STRUCT, 24, [("first", 1, 0), ("", 4, 64), ("known", 3, 128)])
    blob.add("reason", ENUM, 4, [("R_NONE", 0), ("R_LATE", 7)])
    return Btf(blob.octets())


def test_a_member_is_found_at_its_offset(types):
    assert types.offset("outer", "first") == 0


def test_also_inside_a_nameless_union(types):
    assert types.offset("outer", "other") == 8


def test_and_through_a_typedef(types):
    assert types.offset("outer", "known", "deep") == 20


def test_values_of_an_enum_have_names(types):
    assert types.enumeration("reason", "R_LATE") == {0: "R_NONE", 7: "R_LATE"}


@pytest.mark.parametrize("asked", [("outer", "deep"), ("nothing", "first"), ("outer", "absent")])
def test_what_is_not_there_is_said(types, asked):
    with pytest.raises(KeyError):
        types.offset(*asked)


def test_other_octets_are_refused():
    with pytest.raises(ValueError, match="BTF"):
        Btf(b"\x7fELF" + bytes(100))
