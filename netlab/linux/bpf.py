"""As much of bpf(2) as one small program needs: assemble, load, attach, read its ring buffer."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import struct

_CALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}

MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, PROGRAM_LOAD, RAW_TRACEPOINT_OPEN = 0, 1, 2, 5, 17
HASH, RING_BUFFER = 1, 27
RAW_TRACEPOINT = 17

# Helper functions, include/uapi/linux/bpf.h
LOOKUP, KTIME, CURRENT_TASK, PROBE_READ_KERNEL, RESERVE, SUBMIT = 1, 5, 35, 113, 131, 132

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, FP = range(11)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def call(command: int, attributes: bytes) -> int:
    """bpf(2); returns what it returns and raises ``OSError``.

    Raises:
        OSError: the kernel refused the call.
    """
    number = _CALL.get(platform.machine())
    if number is None:
        raise OSError(f"bpf(2) has no known number on {platform.machine()}")
    # The kernel takes zeros for what we do not know of yet.
    union = ctypes.create_string_buffer(attributes, max(len(attributes), 128))
    result = _libc.syscall(
        ctypes.c_long(number), ctypes.c_long(command), union, ctypes.c_long(len(union))
    )
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(result)


class Assembler:
    """Instructions, one method each; a jump names a label that ``label`` places."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int, int]] = []
        self._labels: dict[str, int] = {}
        self._jumps: dict[int, str] = {}

    def _emit(
        self, code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0
    ) -> None:
        self._code.append((code, target, source, offset, value))

    def label(self, name: str) -> None:
        """The next instruction is called ``name``."""
        self._labels[name] = len(self._code)

    def move(self, target: int, source: int) -> None:
        """``target = source``, two registers."""
        self._emit(0xBF, target, source)

    def constant(self, target: int, value: int) -> None:
        """``target = value``."""
        self._emit(0xB7, target, value=value)

    def add(self, target: int, value: int) -> None:
        """``target += value``."""
        self._emit(0x07, target, value=value)

    def add_register(self, target: int, source: int) -> None:
        """``target += source``."""
        self._emit(0x0F, target, source)

    def mask(self, target: int, value: int) -> None:
        """``target &= value``, which is extended with its sign."""
        self._emit(0x57, target, value=value)

    def load(self, octets: int, target: int, source: int, offset: int) -> None:
        """``target = *(source + offset)``."""
        self._emit({2: 0x69, 4: 0x61, 8: 0x79}[octets], target, source, offset)

    def store(self, octets: int, target: int, offset: int, source: int) -> None:
        """``*(target + offset) = source``."""
        self._emit({4: 0x63, 8: 0x7B}[octets], target, source, offset)

    def atomic_add(self, target: int, offset: int, source: int) -> None:
        """``*(u64 *)(target + offset) += source``."""
        self._emit(0xDB, target, source, offset)

    def map(self, target: int, fd: int) -> None:
        """``target`` = the map behind ``fd``; this instruction takes two places."""
        self._emit(0x18, target, 1, value=fd)
        self._emit(0)

    def function(self, helper: int) -> None:
        """``r0 = helper(r1, ...)``; r1 to r5 are lost."""
        self._emit(0x85, value=helper)

    def jump_if_zero(self, register: int, name: str) -> None:
        """Go to ``name`` if the register is 0."""
        self._jumps[len(self._code)] = name
        self._emit(0x15, register)

    def jump(self, name: str) -> None:
        """Go to ``name``."""
        self._jumps[len(self._code)] = name
        self._emit(0x05)

    def end(self) -> None:
        """Return 0."""
        self.constant(R0, 0)
        self._emit(0x95)

    def read(self, place: int, size: int, source: int, offset: int) -> None:
        """Copy ``size`` octets of kernel memory at ``source + offset`` to the stack at ``place``.

        What cannot be read becomes zero, so a program may follow any pointer.
        """
        self.move(R1, FP)
        self.add(R1, place)
        self.constant(R2, size)
        self.move(R3, source)
        self.add(R3, offset)
        self.function(PROBE_READ_KERNEL)

    def assembled(self) -> bytes:
        """The program."""
        octets = []
        for at, (code, target, source, offset, value) in enumerate(self._code):
            if at in self._jumps:
                offset = self._labels[self._jumps[at]] - at - 1  # noqa: PLW2901
            octets.append(struct.pack("<BBhi", code, source << 4 | target, offset, value))
        return b"".join(octets)


def create_map(kind: int, key: int, value: int, entries: int) -> int:
    """A map; returns its file descriptor."""
    return call(MAP_CREATE, struct.pack("<4I", kind, key, value, entries))


def _pointer(buffer: ctypes.Array[ctypes.c_char]) -> int:
    return ctypes.addressof(buffer)


def update(fd: int, key: bytes, value: bytes) -> None:
    """Set a value of a map."""
    k, v = ctypes.create_string_buffer(key), ctypes.create_string_buffer(value)
    call(MAP_UPDATE, struct.pack("<I4xQQQ", fd, _pointer(k), _pointer(v), 0))


def lookup(fd: int, key: bytes, size: int) -> bytes:
    """The value of a map at ``key``."""
    k, v = ctypes.create_string_buffer(key), ctypes.create_string_buffer(size)
    call(MAP_LOOKUP, struct.pack("<I4xQQQ", fd, _pointer(k), _pointer(v), 0))
    return v.raw


def load(program: bytes, name: str) -> int:
    """Load a raw tracepoint program.

    Raises:
        PermissionError: BPF is not allowed here.
        OSError: the verifier refused the program.
    """
    code = ctypes.create_string_buffer(program, len(program))
    licence = ctypes.create_string_buffer(b"GPL")  # probe_read_kernel demands it

    def attempt(log: ctypes.Array[ctypes.c_char] | None) -> int:
        return call(
            PROGRAM_LOAD,
            struct.pack(
                "<IIQQIIQII16s",
                RAW_TRACEPOINT,
                len(program) // 8,
                _pointer(code),
                _pointer(licence),
                1 if log else 0,
                len(log) if log else 0,
                _pointer(log) if log else 0,
                0,
                0,
                name.encode()[:15],
            ),
        )

    try:
        return attempt(None)
    except PermissionError as error:
        log = ctypes.create_string_buffer(1 << 16)
        try:
            return attempt(log)
        except OSError:
            said = log.value.decode(errors="replace").strip().splitlines()
            raise PermissionError(error.errno, said[-2] if len(said) > 1 else "no BPF") from None


def attach(program: int, tracepoint: str) -> int:
    """Run ``program`` at a raw tracepoint as long as the returned descriptor is open."""
    name = ctypes.create_string_buffer(tracepoint.encode())
    return call(RAW_TRACEPOINT_OPEN, struct.pack("<QI4x", _pointer(name), program))


class RingBuffer:
    """The reading end of a ring buffer map (Documentation/bpf/ringbuf.rst).

    A page with how far we have read, a page with how far was written, and the data, which is
    mapped twice in a row so that no record is ever broken at the end.
    """

    _BUSY, _DISCARDED = 1 << 31, 1 << 30

    def __init__(self, size: int) -> None:
        self.fd = create_map(RING_BUFFER, 0, 0, size)
        page = mmap.PAGESIZE
        self._size = size
        self._consumer = mmap.mmap(self.fd, page)
        self._data = mmap.mmap(self.fd, page + 2 * size, prot=mmap.PROT_READ, offset=page)

    def read(self) -> list[bytes]:
        """The records since the last time."""
        (consumed,) = struct.unpack_from("<Q", self._consumer)
        (produced,) = struct.unpack_from("<Q", self._data)
        found = []
        while consumed < produced:
            at = mmap.PAGESIZE + consumed % self._size
            (header,) = struct.unpack_from("<I", self._data, at)
            if header & self._BUSY:
                break
            length = header & (self._DISCARDED - 1)
            if not header & self._DISCARDED:
                found.append(self._data[at + 8 : at + 8 + length])
            consumed += (8 + length + 7) & ~7
        struct.pack_into("<Q", self._consumer, 0, consumed)
        return found

    def close(self) -> None:
        """Unmap and close."""
        self._consumer.close()
        self._data.close()
        os.close(self.fd)
