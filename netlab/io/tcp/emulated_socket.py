"""One socket of an outside tester: what was asked of it, its options, and what it has become."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING

from netlab.io.tcp.tcp_info import tcp_info
from netlab.tcp.congestion import ALGORITHMS
from netlab.tcp.events import End
from netlab.tcp.state import State

if TYPE_CHECKING:
    from netlab.tcp.connection import Connection
    from netlab.tcp.settings import Settings
    from netlab.tcp.stack import Listener, Socket

SO_PROTOCOL, SO_DOMAIN = 38, 39

_SET = {
    socket.SOL_SOCKET: {
        socket.SO_REUSEADDR,
        socket.SO_KEEPALIVE,
        socket.SO_LINGER,
        socket.SO_SNDBUF,
        socket.SO_RCVBUF,
    },
    socket.IPPROTO_TCP: {
        socket.TCP_NODELAY,
        socket.TCP_MAXSEG,
        socket.TCP_CORK,
        socket.TCP_KEEPIDLE,
        socket.TCP_KEEPINTVL,
        socket.TCP_KEEPCNT,
        socket.TCP_CONGESTION,
        socket.TCP_USER_TIMEOUT,
    },
}
"""The options that have an effect here, and only these: for any other, ENOPROTOOPT."""

_GET = {
    socket.SOL_SOCKET: _SET[socket.SOL_SOCKET]
    | {socket.SO_ERROR, socket.SO_TYPE, socket.SO_ACCEPTCONN, SO_PROTOCOL, SO_DOMAIN},
    socket.IPPROTO_TCP: _SET[socket.IPPROTO_TCP] | {socket.TCP_INFO},
}
_TEXT = socket.IPPROTO_TCP, socket.TCP_CONGESTION
_LARGEST_BUFFER = 212_992  # Linux' default of net.core.wmem_max and rmem_max
_SMALLEST_MSS, _LARGEST_MSS = 88, 32767  # TCP_MIN_MSS and MAX_TCP_WINDOW (include/net/tcp.h)

ERRORS = {
    End.RESET: errno.ECONNRESET,
    End.REFUSED: errno.ECONNREFUSED,
    End.TIMED_OUT: errno.ETIMEDOUT,
    End.UNREACHABLE: errno.EHOSTUNREACH,
    End.ABORTED: errno.ECONNABORTED,
}


class CallError(Exception):
    """A call that fails with this error number."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.number = number


class Descriptor:
    """One socket: what was asked of it, and what it has become."""

    def __init__(self, domain: int, settings: Settings, *, nonblocking: bool) -> None:
        self.domain = domain
        self.settings = settings
        self.nonblocking = nonblocking
        self.local: tuple[bytes | None, int] = (None, 0)
        self.listener: Listener | None = None
        self.place: Socket | None = None
        self.linger: int | None = None
        self.connecting = False  # a connect that did not wait, and whose end nobody has asked for
        self.deaf = False  # after SHUT_RD
        self.error_told = False
        self.values: dict[tuple[int, int], bytes] = {}

    @property
    def reuses(self) -> bool:
        """SO_REUSEADDR."""
        return any(self.values.get((socket.SOL_SOCKET, socket.SO_REUSEADDR), b""))

    @property
    def core(self) -> Connection:
        """The connection; ENOTCONN if there is none.

        Raises:
            CallError: ENOTCONN, there is none.
        """
        if self.place is None:
            raise CallError(errno.ENOTCONN)
        return self.place.connection

    @property
    def error(self) -> int:
        """The error that the connection ended with, until it was reported; 0 without one.

        As Linux' tcp_reset has it: an RST tells even a user who has said goodbye already.
        """
        if self.place is None or self.error_told:
            return 0
        core = self.place.connection
        if core.reset_in is State.CLOSE_WAIT:
            return errno.EPIPE
        if core.reset_in in {State.CLOSING, State.LAST_ACK}:
            return errno.ECONNRESET
        return ERRORS.get(core.end, 0) if core.end else 0

    def option(self, level: int, option: int) -> bytes:
        """The value that getsockopt gives.

        Raises:
            CallError: there is no such option.
        """
        core = self.place.connection if self.place else None
        settings = self.settings
        if option not in _GET.get(level, ()):
            raise CallError(errno.ENOPROTOOPT)
        match level, option:
            case socket.SOL_SOCKET, socket.SO_ERROR:
                error, self.error_told = self.error, True
                return struct.pack("=i", error)
            case socket.SOL_SOCKET, value if value == SO_PROTOCOL:
                return struct.pack("=i", socket.IPPROTO_TCP)
            case socket.SOL_SOCKET, value if value == SO_DOMAIN:
                return struct.pack("=i", self.domain)
            case socket.SOL_SOCKET, socket.SO_SNDBUF:
                return struct.pack("=i", settings.send_buffer)
            case socket.SOL_SOCKET, socket.SO_RCVBUF:
                return struct.pack("=i", settings.receive_buffer)
            case socket.SOL_SOCKET, socket.SO_TYPE:
                return struct.pack("=i", socket.SOCK_STREAM)
            case socket.SOL_SOCKET, socket.SO_ACCEPTCONN:
                return struct.pack("=i", self.listener is not None)
            case socket.IPPROTO_TCP, socket.TCP_MAXSEG:
                return struct.pack(
                    "=i", core.sender.mss if core else settings.maximum_segment or 536
                )
            case socket.IPPROTO_TCP, socket.TCP_INFO if core is not None:
                return tcp_info(core)
            case socket.IPPROTO_TCP, socket.TCP_CONGESTION:
                return settings.congestion.encode().ljust(16, b"\0")
            case socket.IPPROTO_TCP, socket.TCP_KEEPIDLE:
                return struct.pack("=i", int(settings.keepalive_idle))
            case socket.IPPROTO_TCP, socket.TCP_KEEPINTVL:
                return struct.pack("=i", int(settings.keepalive_interval))
            case socket.IPPROTO_TCP, socket.TCP_KEEPCNT:
                return struct.pack("=i", settings.keepalive_count)
            case socket.SOL_SOCKET, socket.SO_LINGER:
                return struct.pack("=ii", self.linger is not None, self.linger or 0)
            case _:
                return self.values.get((level, option), bytes(4))

    def set_option(self, level: int, option: int, value: bytes) -> None:
        """What setsockopt is given.

        Raises:
            CallError: there is no such option, or the value does not fit.
        """
        key = level, option
        if option not in _SET.get(level, ()):
            raise CallError(errno.ENOPROTOOPT)
        if len(value) < 4 and key != _TEXT:
            raise CallError(errno.EINVAL)
        number = struct.unpack_from("=i", value)[0] if len(value) >= 4 else 0
        if key == (socket.IPPROTO_TCP, socket.TCP_MAXSEG) and (
            number and not _SMALLEST_MSS <= number <= _LARGEST_MSS
        ):
            raise CallError(errno.EINVAL)
        self.values[key] = value
        settings = self.settings
        match key:
            case socket.SOL_SOCKET, socket.SO_LINGER:
                on, seconds = struct.unpack_from("=ii", value)
                self.linger = seconds if on else None
            case socket.SOL_SOCKET, socket.SO_RCVBUF:
                size = max(2 * min(number, _LARGEST_BUFFER), 2304)
                settings = settings._replace(receive_buffer=size)
            case socket.SOL_SOCKET, socket.SO_SNDBUF:
                size = max(2 * min(number, _LARGEST_BUFFER), 4608)
                settings = settings._replace(send_buffer=size, send_buffer_fixed=True)
            case socket.SOL_SOCKET, socket.SO_KEEPALIVE:
                settings = settings._replace(keepalive=bool(number))
            case socket.IPPROTO_TCP, socket.TCP_NODELAY:
                settings = settings._replace(nagle=not number)
            case socket.IPPROTO_TCP, socket.TCP_CORK:
                settings = settings._replace(cork=bool(number))
            case socket.IPPROTO_TCP, socket.TCP_MAXSEG:
                settings = settings._replace(maximum_segment=number)
            case socket.IPPROTO_TCP, socket.TCP_KEEPIDLE:
                settings = settings._replace(keepalive_idle=float(number))
            case socket.IPPROTO_TCP, socket.TCP_KEEPINTVL:
                settings = settings._replace(keepalive_interval=float(number))
            case socket.IPPROTO_TCP, socket.TCP_KEEPCNT:
                settings = settings._replace(keepalive_count=number)
            case socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT:
                settings = settings._replace(user_timeout=number / 1000)
            case socket.IPPROTO_TCP, socket.TCP_CONGESTION:
                name = value.rstrip(b"\0").decode("ascii")
                if name not in ALGORITHMS:
                    raise CallError(errno.ENOENT)
                settings = settings._replace(congestion=name)
        self.settings = settings
