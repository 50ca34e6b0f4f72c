"""Where segments come in and go out: a packet socket on an interface, or a TUN device.

With ``offload`` both speak the virtio header: a packet leaves whole, up to 64 KB, and the kernel
(or the far end, which is often spared it altogether) cuts its payload and computes the checksums.
Without it, every piece is cut and summed by the sender: slower, the same on the wire.

The kernel delivers what it sends itself with unfinished checksums; both ways say for each packet
whether its checksum has to be looked at.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from typing import Protocol

from netlab.linux import tun
from netlab.linux.packet_reports import Reporter
from netlab.stateless.segment import IPV4_OVERHEAD

SOL_PACKET = 263
PACKET_AUXDATA, PACKET_VNET_HDR, PACKET_FANOUT, PACKET_IGNORE_OUTGOING = 8, 15, 18, 23
PACKET_FANOUT_HASH = 0
SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33
TP_STATUS_CSUM_NOT_READY, TP_STATUS_CSUM_VALID = 1 << 3, 1 << 7
ETH_P_ALL = 3
RECEIVE_BUFFER = 8 << 20

NEEDS_CSUM, DATA_VALID = 1, 2
_GSO_TCPV4, _GSO_TCPV6 = 1, 4
_VNET = struct.Struct("=BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
_AUXDATA_STATUS = struct.Struct("=I")
_ETHERNET = 14
_CHECKSUM_OFFSET = 16
_LARGEST = 1 << 17
_WORTH_SCATTERING = 4096


class Port(Protocol):
    """Where packets come and go, one at a time; ``BlockingIOError`` when it would have to wait.

    After ``receive`` the IP packet is in ``buffer[start:size]``, where ``size`` is what was
    returned; ``trusted`` says that its checksum is right, or not computed yet because it never
    left this machine; ``back`` is the link header that leads to where it came from.
    """

    buffer: bytearray
    start: int
    trusted: bool
    back: bytes

    @property
    def cuts(self) -> bool:
        """Whether the kernel cuts long packets and finishes partial checksums."""

    @property
    def reporter(self) -> Reporter | None:
        """Where to report what became of a packet."""

    def fileno(self) -> int:
        """The descriptor to wait for."""

    def receive(self) -> int:
        """Read the next packet into ``buffer``."""

    def send(self, packet: bytes, back: bytes, cut: int, payload: bytes = b"") -> None:
        """Send one packet, of which ``payload`` may be the end that need not be copied.

        ``OSError`` as the kernel gives it (``ENOBUFS``, ``ENETDOWN``).
        """

    def close(self) -> None:
        """Let go of the descriptor."""


class PacketPort:
    """An AF_PACKET socket on one interface, in the namespace where it is made.

    ``program`` is a classic BPF filter (``bpf.segments_for``). Sockets with one ``fanout`` number
    share the traffic, each connection's segments going to one of them.
    """

    def __init__(
        self, interface: str, program: bytes, *, offload: bool = True, fanout: int | None = None
    ) -> None:
        self.cuts = offload
        # No protocol yet: nothing may arrive before the filter is attached.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            self._configure(program)
            self._socket.bind((interface, ETH_P_ALL))
            if fanout is not None:
                value = fanout & 0xFFFF | PACKET_FANOUT_HASH << 16
                self._socket.setsockopt(SOL_PACKET, PACKET_FANOUT, value)
        except BaseException:
            self._socket.close()
            raise
        self._send = self._socket.send
        self.buffer = bytearray(_LARGEST)
        self._link = _VNET.size if offload else 0
        self.start = self._link + _ETHERNET
        self.trusted = False
        self.back = b""
        self._from = bytearray()
        self.reporter = Reporter(interface)

    def _configure(self, program: bytes) -> None:
        instructions = ctypes.create_string_buffer(program, len(program))
        filter_ = struct.pack("HL", len(program) // 8, ctypes.addressof(instructions))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_)
        self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self._socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR if self.cuts else PACKET_AUXDATA, 1)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        except PermissionError:  # in a user namespace; the ordinary bound has to do
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def receive(self) -> int:
        """Read the next frame."""
        buffer, link = self.buffer, self._link
        if self.cuts:
            size = self._socket.recv_into(buffer)
            self.trusted = buffer[0] & (NEEDS_CSUM | DATA_VALID) != 0
        else:
            size = self._receive_plain()
        # Nearly all frames come from one router, so the header back is nearly always the last one.
        came = buffer[link : link + _ETHERNET]
        if came != self._from:
            self._from = came
            self.back = bytes(came[6:12] + came[:6] + came[12:])
        return size

    def _receive_plain(self) -> int:
        size, ancillary, _, _ = self._socket.recvmsg_into([self.buffer], 64)
        status = 0
        for level, kind, data in ancillary:
            if level == SOL_PACKET and kind == PACKET_AUXDATA:
                (status,) = _AUXDATA_STATUS.unpack_from(data)
        self.trusted = status & (TP_STATUS_CSUM_NOT_READY | TP_STATUS_CSUM_VALID) != 0
        return size

    def send(self, packet: bytes, back: bytes, cut: int, payload: bytes = b"") -> None:
        """Send one frame."""
        follows = len(payload)
        if self.cuts:
            back = virtio_header(packet, _ETHERNET, cut, follows) + back
        if not follows:
            self._send(back + packet)
        elif follows < _WORTH_SCATTERING:
            self._send(back + packet + payload)
        else:
            self._socket.sendmsg((back + packet, payload))

    def close(self) -> None:
        """Close the socket; the kernel forgets filter and fanout with it."""
        self._socket.close()
        self.reporter.close()


class TunPort:
    """A TUN device by its descriptor (``IFF_TUN | IFF_NO_PI``, with ``offload`` ``IFF_VNET_HDR``).

    The descriptor stays the caller's.
    """

    back = b""

    def __init__(self, descriptor: int, *, offload: bool = True) -> None:
        self.cuts = offload
        self._descriptor = descriptor
        self.buffer = bytearray(_LARGEST)
        self.start = _VNET.size if offload else 0
        self.trusted = False
        self.reporter = Reporter(tun.name_of(descriptor))
        os.set_blocking(descriptor, False)

    def fileno(self) -> int:
        """The device's descriptor."""
        return self._descriptor

    def receive(self) -> int:
        """Read the next packet that the kernel routed into the device."""
        size = os.readv(self._descriptor, [self.buffer])
        if self.cuts:
            self.trusted = self.buffer[0] & (NEEDS_CSUM | DATA_VALID) != 0
        return size

    def send(self, packet: bytes, back: bytes, cut: int, payload: bytes = b"") -> None:  # noqa: ARG002 - as Port
        """Hand one packet to the kernel."""
        if self.cuts:
            packet = virtio_header(packet, 0, cut, len(payload)) + packet
        os.writev(self._descriptor, (packet, payload))

    def close(self) -> None:
        """Let go of all but the device: whoever opened it closes it."""
        self.reporter.close()


def virtio_header(packet: bytes, link_length: int, cut: int, follows: int = 0) -> bytes:
    """``struct virtio_net_hdr``: finish the checksum, and cut the payload where it is too long.

    ``packet`` may be headers alone before ``follows`` octets of payload.
    """
    version_4 = packet[0] == 0x45
    size = len(packet) + follows
    # With any headers at all this one is short.
    if not cut or size <= cut + IPV4_OVERHEAD:
        return _WHOLE[link_length, version_4]
    transport = 20 if version_4 else 40
    header_length = transport + (packet[transport + 12] >> 4 << 2)
    if size - header_length > cut:
        return _VNET.pack(
            NEEDS_CSUM,
            _GSO_TCPV4 if version_4 else _GSO_TCPV6,
            link_length + header_length,
            cut,
            link_length + transport,
            _CHECKSUM_OFFSET,
        )
    return _WHOLE[link_length, version_4]


_WHOLE = {
    (link, version_4): _VNET.pack(
        NEEDS_CSUM, 0, 0, 0, link + (20 if version_4 else 40), _CHECKSUM_OFFSET
    )
    for link in (0, _ETHERNET)
    for version_4 in (True, False)
}
