"""Ethernet frames at one interface, read and written many at a time (packet(7), recvmmsg(2)).

A system call for each packet costs about as much as the packet itself; a batch shares it. The
arrays that the kernel is given are made once: receiving fills them, sending copies into them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from typing import TYPE_CHECKING, Self

from netlab.linux.raw_socket import newly_lost

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH = 64
"""Frames in one system call; more gain nothing and cost memory."""

LARGEST = 65_536 + 14
"""Octets of a frame: more than any MTU of ours, so that none is cut."""

_ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_PACKET_IGNORE_OUTGOING = 23
_SO_RCVBUFFORCE = 33
_SO_SNDBUFFORCE = 32
_BUFFER = 32 << 20

_libc = ctypes.CDLL(None, use_errno=True)


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Msghdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Mmsghdr(ctypes.Structure):
    _fields_ = (("header", _Msghdr), ("length", ctypes.c_uint))


class _Slots:
    """Room for a batch of frames, and the headers that point into it."""

    def __init__(self) -> None:
        self.room = ctypes.create_string_buffer(BATCH * LARGEST)
        self.octets = memoryview(self.room).cast("B")
        self.vectors = (_Iovec * BATCH)()
        self.headers = (_Mmsghdr * BATCH)()
        start = ctypes.addressof(self.room)
        for i in range(BATCH):
            self.vectors[i] = _Iovec(start + i * LARGEST, LARGEST)
            header = self.headers[i].header
            header.iov = ctypes.addressof(self.vectors) + i * ctypes.sizeof(_Iovec)
            header.iovlen = 1
        # The lengths as plain numbers: an attribute of a ctypes structure costs far more.
        words = ctypes.sizeof(_Mmsghdr) // 4
        at = _Mmsghdr.length.offset // 4
        self.lengths = memoryview(self.headers).cast("B").cast("I")[at::words]
        self.sizes = memoryview(self.vectors).cast("B").cast("L")[1::2]


class Frames:
    """Every frame that arrives at ``interface``, and a way to send others there.

    Frames that this machine sends by the interface are not seen. Use as a context manager, in the
    network namespace of the interface. ``OSError`` if there is no such interface or no permission.
    """

    def __init__(self, interface: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setblocking(False)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        for forced, plain in (
            (_SO_RCVBUFFORCE, socket.SO_RCVBUF),
            (_SO_SNDBUFFORCE, socket.SO_SNDBUF),
        ):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, forced, _BUFFER)
            except PermissionError:
                # In a user namespace the machine's limit holds.
                self._socket.setsockopt(socket.SOL_SOCKET, plain, _BUFFER)
        # Bound only now: a socket of all protocols would see all interfaces until then.
        self._socket.bind((interface, _ETH_P_ALL))
        self._in, self._out = _Slots(), _Slots()
        self.unsent = 0
        """Frames that the interface refused: it is down, or they are too long for it."""
        self._missed = 0

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def receive(self) -> list[bytes]:
        """Up to ``BATCH`` frames that wait; empty if there are none, or the link went down.

        Raises:
            OSError: the socket failed.
        """
        slots = self._in
        count = _libc.recvmmsg(
            self._socket.fileno(), slots.headers, BATCH, socket.MSG_DONTWAIT, None
        )
        if count < 0:
            number = ctypes.get_errno()
            if number in (errno.EAGAIN, errno.ENETDOWN, errno.EINTR):
                return []
            raise OSError(number, os.strerror(number))
        octets, at = slots.octets, 0
        found = []
        for length in slots.lengths[:count].tolist():
            found.append(bytes(octets[at : at + length]))
            at += LARGEST
        return found

    def send(self, frames: Sequence[bytes]) -> None:
        """Send frames in order; what the interface refuses is counted and gone."""
        for at in range(0, len(frames), BATCH):
            self._send(frames[at : at + BATCH])

    def _send(self, frames: Sequence[bytes]) -> None:
        slots = self._out
        octets, sizes, at = slots.octets, slots.sizes, 0
        for i, frame in enumerate(frames):
            size = len(frame)
            octets[at : at + size] = frame
            sizes[i] = size
            at += LARGEST
        done = 0
        while done < len(frames):
            sent = _libc.sendmmsg(
                self._socket.fileno(),
                ctypes.byref(slots.headers, done * ctypes.sizeof(_Mmsghdr)),
                len(frames) - done,
                0,
            )
            if sent > 0:
                done += sent
            elif ctypes.get_errno() != errno.EINTR:
                # The error is the first frame's; those behind it may still pass.
                self.unsent += 1
                done += 1

    @property
    def missed(self) -> int:
        """Frames that came faster than they were read, so far."""
        self._missed += newly_lost(self._socket)
        return self._missed

    def close(self) -> None:
        """Stop; idempotent."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
