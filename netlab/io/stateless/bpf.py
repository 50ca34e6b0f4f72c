"""A classic BPF program that lets only the segments through that the server can answer.

Most of what a client sends is pure acknowledgements, and a server without memory has no use for
them: dropped in the kernel they cost a tenth of what waking this process for them would. The
instructions and their codes are those of ``linux/filter.h``; offsets count from the Ethernet
header.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from netlab.wire.tcp import FIN, RST, SYN

_INSTRUCTION = struct.Struct("=HBBI")

# Codes: class | size | mode, as BPF_STMT and BPF_JUMP write them.
_LD_B, _LD_H, _LD_W = 0x30, 0x28, 0x20  # A = packet[k]
_LD_B_X, _LD_H_X = 0x50, 0x48  # A = packet[X + k]
_LDX_IHL = 0xB1  # X = 4 * (packet[k] & 0xf)
_LDX_CONSTANT = 0x01
_ST, _LD_MEM = 0x02, 0x60
_SUB_X, _AND, _RSH, _TAX = 0x1C, 0x54, 0x74, 0x07
_JEQ, _JSET = 0x15, 0x45
_RETURN = 0x06

_ACCEPT, _DROP, _NEXT = "accept", "drop", ""


class _Step(NamedTuple):
    code: int
    k: int = 0
    true: str = _NEXT
    false: str = _NEXT


def segments_for(address: bytes, port: int, *, pure_acks: bool = False) -> bytes:
    """The program, as an array of ``struct sock_filter``, for one packed address and port.

    It passes TCP segments without RST that carry SYN, FIN or payload (with ``pure_acks`` the empty
    ones too), and fragments of TCP to the address, which show no port; no other extension headers
    of IPv6.
    """
    steps = _ipv4(address, port) if len(address) == 4 else _ipv6(address, port)
    flags = 14 + 13  # beyond X, where X is the length of the IP header
    steps += [_Step(_LD_B_X, flags), _Step(_JSET, RST, true=_DROP)]
    if not pure_acks:
        steps += [
            _Step(_JSET, SYN | FIN, true=_ACCEPT),
            # M[0] holds the length of the segment; less its data offset it is the payload's.
            _Step(_LD_B_X, flags - 1),
            _Step(_AND, 0xF0),
            _Step(_RSH, 2),
            _Step(_TAX),
            _Step(_LD_MEM, 0),
            _Step(_SUB_X),
            _Step(_JEQ, 0, true=_DROP),
        ]
    return _assemble(steps)


def _ipv4(address: bytes, port: int) -> list[_Step]:
    return [
        *_must_equal(_LD_H, 12, 0x0800),
        *_must_equal(_LD_B, 23, 6),
        *_must_equal(_LD_W, 30, int.from_bytes(address, "big")),
        _Step(_LD_H, 20),
        _Step(_JSET, 0x3FFF, true=_ACCEPT),
        _Step(_LDX_IHL, 14),
        *_must_equal(_LD_H_X, 16, port),
        _Step(_LD_H, 16),
        _Step(_SUB_X),
        _Step(_ST, 0),
    ]


def _ipv6(address: bytes, port: int) -> list[_Step]:
    words = struct.unpack("!4I", address)
    return [
        *_must_equal(_LD_H, 12, 0x86DD),
        *(step for at, word in enumerate(words) for step in _must_equal(_LD_W, 38 + 4 * at, word)),
        _Step(_LD_B, 20),
        _Step(_JEQ, 44, true=_ACCEPT),
        *_must_equal(_LD_B, 20, 6),
        *_must_equal(_LD_H, 56, port),
        _Step(_LD_H, 18),
        _Step(_ST, 0),
        _Step(_LDX_CONSTANT, 40),
    ]


def _must_equal(load: int, offset: int, value: int) -> tuple[_Step, _Step]:
    return _Step(load, offset), _Step(_JEQ, value, false=_DROP)


def _assemble(steps: list[_Step]) -> bytes:
    # The two ends are at the bottom, accept before drop; a jump counts instructions to skip.
    accept = len(steps)

    def skip(at: int, label: str) -> int:
        return 0 if label == _NEXT else accept + (label == _DROP) - at - 1

    program = [
        _INSTRUCTION.pack(step.code, skip(at, step.true), skip(at, step.false), step.k)
        for at, step in enumerate(steps)
    ]
    program += [_INSTRUCTION.pack(_RETURN, 0, 0, 0xFFFFFFFF), _INSTRUCTION.pack(_RETURN, 0, 0, 0)]
    return b"".join(program)
