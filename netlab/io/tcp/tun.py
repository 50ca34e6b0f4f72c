"""A TUN device as a place where IP packets come and go, with the offloads that make it fast.

Opened with a virtio header in front of each packet (IFF_VNET_HDR) and with TUNSETOFFLOAD, the
device hands over segments of up to 64 KiB whose checksum is known to be right, and takes such
segments for the kernel, or the receiver's device, to cut. One system call then moves what would
have been 45 packets, and no octet of data is looked at on the way. Source: virtio 1.2, section
5.1.6; Linux, ``drivers/net/tun.c``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from collections import deque
from sys import getrefcount
from typing import TYPE_CHECKING, NamedTuple, Self

from netlab.errors import Diagnostic, LabError, Unavailable
from netlab.linux.packet_reports import Reporter
from netlab.linux.routes import addresses_behind
from netlab.linux.tun import IFF_NO_PI, IFF_TUN, IFF_VNET_HDR, TUNSETIFF, TUNSETOFFLOAD
from netlab.tcp.ip import Packet, complete

if TYPE_CHECKING:
    from types import TracebackType

TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN = 1, 2, 4, 8

NEEDS_CSUM, DATA_VALID = 1, 2
GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_ECN = 0, 1, 4, 0x80

SIOCGIFMTU, SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFTXQLEN = 0x8921, 0x8913, 0x8914, 0x8943
IFF_UP = 1
QUEUE_LENGTH = 8192  # packets; the kernel's 500 are few for a thousand connections

_IFREQ = struct.Struct("16sH22x")
_IFREQ_INT = struct.Struct("16si20x")
# flags, GSO type, header length, GSO size, checksum start, checksum offset: in host byte order.
_VIRTIO = struct.Struct("=BBHHHH")
_VIRTIO_LENGTH = _VIRTIO.size
_CHECKSUM_OFFSET = 16  # of the checksum in a TCP header
_LARGEST_READ = 65536 + _VIRTIO_LENGTH
_MAXIMUM_PIECES = 1000  # IOV_MAX is 1024
_SMALL = 4096
_MAXIMUM_FREE = 64
_UNUSED = 2  # references to a buffer from its local name and from the call that counts them


class Busy(LabError):
    """Another program has the device."""


class Arrival(NamedTuple):
    """One packet from the device; ``mss`` and ``verified`` as ``Stack.receive`` takes them."""

    packet: memoryview
    mss: int
    verified: bool


class Pool:
    """Buffers for large packets, used again as soon as nobody holds a view of them.

    Fresh memory for each packet costs more than the packet: the allocator gives it back to the
    kernel, which hands it out again page by page, each filled with zeros.
    """

    def __init__(self) -> None:
        self._free: list[bytearray] = []
        self._lent: deque[bytearray] = deque()

    def take(self) -> bytearray:
        """A buffer that nobody uses, the one that is warmest in the cache."""
        lent = self._lent
        # Data is mostly read in the order in which it came; what is kept longer goes to the back.
        for _ in range(min(2, len(lent))):
            buffer = lent.popleft()
            if getrefcount(buffer) > _UNUSED:
                lent.append(buffer)
            elif len(self._free) < _MAXIMUM_FREE:
                self._free.append(buffer)
        return self._free.pop() if self._free else bytearray(_LARGEST_READ)

    def lend(self, buffer: bytearray) -> None:
        """Views of it are about; each of them is a reference to it."""
        self._lent.append(buffer)


class Tun:
    """An open TUN device in the namespace of the calling thread.

    The device is made if there is none. ``offload`` as above; without it, every packet is one
    that a plain wire would carry. ``addresses`` are those that the kernel routes to it. The device
    belongs to the namespace where it was opened; ``fd`` does not block and may be used anywhere.
    ``reporter`` is for whoever decides what becomes of a packet to say so.
    """

    def __init__(self, name: str, *, offload: bool = True) -> None:
        self.name = name
        self.offload = offload
        self.dropped = 0
        self.addresses: list[str] = []
        self._header_length = _VIRTIO_LENGTH if offload else 0
        self._pool = Pool()
        self._await_in(self._pool.take())
        flags = IFF_TUN | IFF_NO_PI | (IFF_VNET_HDR if offload else 0)
        try:
            self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            hint = "modprobe tun; for ordinary users chmod 666 /dev/net/tun"
            raise Unavailable(
                Diagnostic("E701", f"/dev/net/tun: {error.strerror}", hint=hint)
            ) from None
        try:
            fcntl.ioctl(self.fd, TUNSETIFF, _IFREQ.pack(os.fsencode(name), flags))
            features = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN
            fcntl.ioctl(self.fd, TUNSETOFFLOAD, features if offload else 0)
            self.mtu = self._bring_up()
            self.addresses = addresses_behind(name)
        except OSError as error:
            os.close(self.fd)
            kind = Busy if error.errno == errno.EBUSY else LabError
            raise kind(
                Diagnostic(
                    "E702",
                    f"TUN device {name}: {error.strerror}",
                    hint="another program may have it open; a name has at most 15 octets",
                )
            ) from None
        self.reporter = Reporter(name)

    def _bring_up(self) -> int:
        """Set the device up, lengthen its queue, and return its MTU."""
        import socket

        name = os.fsencode(self.name)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            answer = fcntl.ioctl(control, SIOCGIFFLAGS, _IFREQ.pack(name, 0))
            flags: int = _IFREQ.unpack(answer)[1]
            fcntl.ioctl(control, SIOCSIFFLAGS, _IFREQ.pack(name, flags | IFF_UP))
            # Only root of the whole machine may ask for this (Linux, net/core/dev_ioctl.c).
            with contextlib.suppress(PermissionError):
                fcntl.ioctl(control, SIOCSIFTXQLEN, _IFREQ_INT.pack(name, QUEUE_LENGTH))
            answer = fcntl.ioctl(control, SIOCGIFMTU, _IFREQ_INT.pack(name, 0))
            mtu: int = _IFREQ_INT.unpack(answer)[1]
        return mtu

    def fileno(self) -> int:
        """For ``select`` and its like."""
        return self.fd

    def _await_in(self, buffer: bytearray) -> None:
        """Put the next packet here."""
        self._buffer = buffer
        self._view = memoryview(buffer).toreadonly()
        self._target = (buffer,)

    def read(self) -> Arrival | None:
        """The next packet; ``None`` if none waits."""
        try:
            size = os.readv(self.fd, self._target)
        except BlockingIOError:
            return None
        buffer = self._buffer
        octets = self._view[self._header_length : size]
        mss, verified = 0, False
        if self.offload:
            mss = buffer[4] | buffer[5] << 8 if buffer[1] else 0
            verified = buffer[0] != 0
        if size < _SMALL:
            # A small packet must not keep a large buffer.
            octets = memoryview(bytes(octets))
        else:
            self._pool.lend(buffer)
            self._await_in(self._pool.take())
        return Arrival(octets, mss, verified)

    def write(self, packet: Packet) -> None:
        """Send one packet; one that the kernel does not take is dropped, as on any wire."""
        head, data, transport, mss = packet
        try:
            if not self.offload:
                os.write(self.fd, complete(packet))
                return
            if not transport:
                os.write(self.fd, bytes(_VIRTIO_LENGTH) + head)
                return
            kind = GSO_NONE
            if mss:
                kind = GSO_TCPV4 if transport == 20 else GSO_TCPV6
                if head[transport + 13] & 0x80:
                    kind |= GSO_ECN
            start = _VIRTIO.pack(NEEDS_CSUM, kind, len(head), mss, transport, _CHECKSUM_OFFSET)
            if not data:
                os.write(self.fd, start + head)
            elif len(data) < _MAXIMUM_PIECES:
                os.writev(self.fd, (start + head, *data))
            else:
                os.writev(self.fd, (start + head, b"".join(data)))
        except OSError:
            self.dropped += 1

    def close(self) -> None:
        """Give the device back; it vanishes unless it is persistent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            self.reporter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
