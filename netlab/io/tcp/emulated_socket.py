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

if TYPE_CHECKING:
    from netlab.tcp.connection import Connection
    from netlab.tcp.settings import Settings
    from netlab.tcp.stack import Listener, Socket

# Every number that Linux has an option for; what nothing here depends on is only kept.
OPTIONS = {socket.SOL_SOCKET: range(1, 84), socket.IPPROTO_TCP: range(1, 46)}
_ANY = range(1 << 31)
_TEXTS = {(socket.IPPROTO_TCP, socket.TCP_CONGESTION), (socket.IPPROTO_TCP, 31)}  # TCP_ULP

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
        """The connection; ENOTCONN if there is none."""
        if self.place is None:
            raise CallError(errno.ENOTCONN)
        return self.place.connection

    def option(self, level: int, option: int) -> bytes:
        """The value that getsockopt gives."""
        core = self.place.connection if self.place else None
        settings = self.settings
        if option not in OPTIONS.get(level, _ANY):
            raise CallError(errno.ENOPROTOOPT)
        match level, option:
            case socket.SOL_SOCKET, socket.SO_ERROR:
                error = 0
                if core is not None and not self.error_told and core.end in ERRORS:
                    self.error_told = True
                    error = ERRORS[core.end]
                return struct.pack("=i", error)
            case socket.SOL_SOCKET, socket.SO_TYPE:
                return struct.pack("=i", socket.SOCK_STREAM)
            case socket.SOL_SOCKET, socket.SO_ACCEPTCONN:
                return struct.pack("=i", self.listener is not None)
            case socket.IPPROTO_TCP, socket.TCP_MAXSEG:
                return struct.pack("=i", core.sender.mss if core else 536)
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
        """What setsockopt is given; ``settings`` say what it means to TCP."""
        key = level, option
        if option not in OPTIONS.get(level, _ANY):
            raise CallError(errno.ENOPROTOOPT)
        if level in OPTIONS and len(value) < 4 and key not in _TEXTS:
            raise CallError(errno.EINVAL)
        number = struct.unpack_from("=i", value)[0] if len(value) >= 4 else 0
        self.values[key] = value
        settings = self.settings
        match key:
            case socket.SOL_SOCKET, socket.SO_LINGER:
                on, seconds = struct.unpack_from("=ii", value)
                self.linger = seconds if on else None
            case socket.SOL_SOCKET, socket.SO_RCVBUF:
                settings = settings._replace(receive_buffer=max(2 * number, 2304))
            case socket.SOL_SOCKET, socket.SO_SNDBUF:
                settings = settings._replace(send_buffer=max(2 * number, 4608))
            case socket.SOL_SOCKET, socket.SO_KEEPALIVE:
                settings = settings._replace(keepalive=bool(number))
            case socket.IPPROTO_TCP, socket.TCP_NODELAY:
                settings = settings._replace(nagle=not number)
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
