"""Very many datagrams: one call of the kernel for hundreds of them, on every processor.

The kernel finds the way once: an ordinary datagram is sent from a raw socket, and the frame that
it became is taken from the interface, with source address, route and neighbour resolved. Copies of
that frame then go out through packet sockets by sendmmsg(2), past routing, queueing disciplines
and the sender's own firewall. What is left of the cost of a packet is the kernel's; a transmit
ring (PACKET_TX_RING) was measured to be no faster.

Each copy carries the time at which its batch was handed over, as HDP has it, and after the header
five octets of its own: thread, batch and place in the batch.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
import threading
import time
from typing import NamedTuple

from netlab.errors import Diagnostic, LabError
from netlab.linux import raw_socket
from netlab.wire import hdp

BATCH = 512
COUNT_MAX = 10_000_000
SECONDS_MAX = 60.0

_ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_PACKET_QDISC_BYPASS = 20
_SERIAL = struct.Struct("!BHH")
_TIME_AT = 4
_RESOLVED_WITHIN = 5.0

_libc = ctypes.CDLL(None, use_errno=True)


class Template(NamedTuple):
    """A frame to copy: where it leaves, its octets, and where in them HDP begins."""

    interface: str
    octets: bytes
    offset: int


class Flooded(NamedTuple):
    """What a flood did; ``refused`` counts packets that the device had no room for."""

    sent: int
    refused: int
    seconds: float

    @property
    def rate(self) -> float:
        """Packets per second."""
        return self.sent / self.seconds if self.seconds else 0.0


def learn(family: int, argument: int, target: str, size: int = 0) -> Template:
    """The frame that a datagram to ``target`` becomes; sends one such datagram.

    ``size`` is that of the HDP datagram in octets, at least 17. ``LabError`` if nothing leaves.

    Raises:
        LabError: no frame left for the target.
    """
    # Random octets distinguish our frames from all others on the interface.
    label = os.urandom(_SERIAL.size)
    datagram = hdp.encode(hdp.Header(time.time_ns()), label).ljust(size, b"\0")
    everything = socket.htons(_ETH_P_ALL)
    with (
        raw_socket.raw_socket(family, argument) as tx,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, everything) as tap,
    ):
        tap.setblocking(False)
        try:
            tx.sendto(datagram, (target, 0))
        except OSError as error:
            raise LabError(Diagnostic("E614", f"{target}: {error.strerror}")) from None
        deadline = time.monotonic() + _RESOLVED_WITHIN
        while (left := deadline - time.monotonic()) > 0 and select.select([tap], [], [], left)[0]:
            octets, address = tap.recvfrom(65_536)
            offset = octets.find(datagram)
            if offset > 0 and address[2] == socket.PACKET_OUTGOING:
                return Template(address[0], octets, offset)
    hint = "is the next hop there? netlab hdp sweep says more"
    raise LabError(Diagnostic("E614", f"nothing left for {target}", hint=hint))


def flood(template: Template, *, count: int, seconds: float) -> Flooded:
    """Send ``count`` copies, or as many as fit into ``seconds``; both are bounded.

    Runs in the network namespace of the caller, one thread for each processor.

    Raises:
        LabError: the device refused the frames.
    """
    count, seconds = min(count, COUNT_MAX), min(seconds, SECONDS_MAX)
    threads = min(len(os.sched_getaffinity(0)), (count + BATCH - 1) // BATCH) or 1
    shares = [count // threads + (n < count % threads) for n in range(threads)]
    senders = [_Sender(template, number) for number in range(threads)]
    begin = time.perf_counter()
    running = [
        threading.Thread(target=sender.run, args=(share, begin + seconds))
        for sender, share in zip(senders, shares, strict=True)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    elapsed = time.perf_counter() - begin
    for sender in senders:
        sender.close()
    for sender in senders:
        if sender.error:
            text = f"{template.interface}: {os.strerror(sender.error)}"
            raise LabError(Diagnostic("E614", text))
    return Flooded(sum(s.sent for s in senders), sum(s.refused for s in senders), elapsed)


class _Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", _Header), ("length", ctypes.c_uint))


class _Sender:
    """One thread's socket and its batch of frames, contiguous in memory."""

    def __init__(self, template: Template, number: int) -> None:
        self.sent = self.refused = self.error = 0
        self._stride = len(template.octets)
        self._time = template.offset + _TIME_AT
        self._batch = template.offset + hdp.HEADER_LENGTH + 1
        self._frames = bytearray(template.octets * BATCH)
        for place in range(BATCH):
            at = place * self._stride + template.offset + hdp.HEADER_LENGTH
            _SERIAL.pack_into(self._frames, at, number, 0, place)
        # Bound to their device, the sockets stay in this namespace whichever thread sends.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
        self._socket.bind((template.interface, 0))
        self._memory = (ctypes.c_char * len(self._frames)).from_buffer(self._frames)
        self._vectors = (_Vector * BATCH)()
        self._messages = (_Message * BATCH)()
        start = ctypes.addressof(self._memory)
        for place, (vector, message) in enumerate(zip(self._vectors, self._messages, strict=True)):
            vector.base, vector.length = start + place * self._stride, self._stride
            message.header.vectors, message.header.vector_count = ctypes.pointer(vector), 1

    def run(self, share: int, deadline: float) -> None:
        """Send ``share`` frames, or until ``deadline`` on the performance counter."""
        done = batch = 0
        while done < share and not self.error and time.perf_counter() < deadline:
            self._stamp(batch)
            size = min(BATCH, share - done)
            self._send(size)
            done, batch = done + size, batch + 1

    def _stamp(self, batch: int) -> None:
        """Write time and batch number into all frames, an octet of each at a time."""
        fields = time.time_ns().to_bytes(8, "big"), (batch & 0xFFFF).to_bytes(2, "big")
        for start, octets in zip((self._time, self._batch), fields, strict=True):
            for place, octet in enumerate(octets):
                self._frames[start + place :: self._stride] = bytes([octet]) * BATCH

    def _send(self, size: int) -> None:
        place = 0
        while place < size:
            first = ctypes.byref(self._messages, place * ctypes.sizeof(_Message))
            taken = _libc.sendmmsg(self._socket.fileno(), first, size - place, 0)
            if taken > 0:
                self.sent += taken
                place += taken
                continue
            number = ctypes.get_errno()
            if number not in _NO_ROOM:
                self.error = number
                return
            self.refused += 1
            place += 1

    def close(self) -> None:
        self._socket.close()


_NO_ROOM = {11, 105}
"""EAGAIN, ENOBUFS."""
