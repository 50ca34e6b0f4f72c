"""How a program reports what it did with each packet: datagrams to whoever observes its node.

Unix addresses that begin with a zero octet belong to a network namespace and leave no file
(unix(7)), so each node has its own four ``ADDRESSES``, one for each observer. A program sends each
report to all of them; where no one observes, the kernel refuses it at once. A report is one JSON
object, packets are hexadecimal from the IP header on::

    {"device": "tun0",           where the packet was read: a TUN device, or an interface
     "packet": "4500...",        as it was read; only left out of what the program sent unasked
     "end": "no-listener",       a word of docs/fate.md; without it the packet went on as "sent"
     "text": "port 81 is closed",
     "sent": ["4500..."]}        what was written because of it, [device, packet] where another

Of each packet ``OCTETS`` are compared, so no more of it need be sent.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netlab.wire import Buffer

ADDRESSES = tuple(f"\0netlab/packets/{number}" for number in range(4))

OCTETS = 128
"""Octets of a packet by which it is known again: headers, and the start of the payload."""

LARGEST = 1 << 16
"""Octets of a report."""

LONGEST = 300
"""Characters of a text that are kept."""

PATIENCE = 0.05
"""Seconds that a program waits for an observer whose queue is full."""

UNWATCHED = 1.0
"""Seconds for which an observer that did not keep up is passed over."""

QUEUE = 4096
"""Reports that wait for an observer, where it may say how many: the kernel's default is ten."""

_QUEUES = Path("/proc/sys/net/unix/max_dgram_qlen")
_CREDENTIALS = struct.Struct("=iII")

Place: TypeAlias = tuple[str, bytes]
"""An interface, and the start of a packet that passed it."""


class Report(NamedTuple):
    """What a program did with the packet that ``came``, or that it sent without one.

    ``end`` is a disposition's word; without it the packet went on as what was ``sent``.
    """

    came: Place | None
    end: str = ""
    text: str = ""
    sent: tuple[Place, ...] = ()


class Reporter:
    """A program's side, for packets that it reads from ``device``.

    Belongs to the namespace of the calling thread. Costs two microseconds a packet while no one
    observes.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self._passed_over: dict[str, float] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE)

    @property
    def is_wanted(self) -> bool:
        """Whether anyone observes. To be asked after a packet was read: then none is left out."""
        return any(self._socket.connect_ex(address) == 0 for address in ADDRESSES)

    def report(
        self,
        packet: Buffer | None,
        end: str = "",
        text: str = "",
        sent: Iterable[Buffer] = (),
    ) -> None:
        """Report to all who observe: ``packet`` as read, and what was written because of it."""
        message = encode(
            Report(
                None if packet is None else (self.device, bytes(packet[:OCTETS])),
                end,
                text,
                tuple((self.device, bytes(one[:OCTETS])) for one in sent),
            ),
            self.device,
        )
        for address in ADDRESSES:
            if self._socket.connect_ex(address) or self._is_passed_over(address):
                continue
            try:
                self._socket.send(message)
            except TimeoutError:
                self._passed_over[address] = time.monotonic() + UNWATCHED
            except OSError:
                continue  # it has gone

    def _is_passed_over(self, address: str) -> bool:
        return time.monotonic() < self._passed_over.get(address, 0.0)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


def encode(report: Report, device: str) -> bytes:
    """The datagram of a report about packets of ``device``."""
    sent = [p.hex() if name == device else [name, p.hex()] for name, p in report.sent]
    found = {
        "device": device,
        "packet": report.came and report.came[1].hex(),
        "end": report.end,
        "text": report.text,
        "sent": sent,
    }
    return json.dumps({name: value for name, value in found.items() if value}).encode()


def decode(message: bytes) -> Report:
    """Read a datagram, which anyone may have sent.

    Raises:
        ValueError: it is not a report; the text says why.
    """
    try:
        content = _of_kind(json.loads(message), dict, "it is not a JSON object")
        sent = _of_kind(content.get("sent", []), list, "sent is not a list")
        device = _text(content, "device")
        came = content.get("packet")
        return Report(
            None if came is None else (device, _octets(came)),
            _text(content, "end", ""),
            _text(content, "text", ""),
            tuple(_place(one, device) for one in sent),
        )
    except KeyError as error:
        raise ValueError(f"it has no {error}") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _of_kind(value: Any, kind: type, otherwise: str) -> Any:
    if not isinstance(value, kind):
        raise TypeError(otherwise)
    return value


def _text(content: dict[str, Any], name: str, default: str | None = None) -> str:
    value = content[name] if default is None else content.get(name, default)
    if not isinstance(value, str):
        raise TypeError(f"{name} is not a string")
    return printable(value)


def printable(text: str) -> str:
    """What a stranger wrote, fit for a terminal: one line, without control characters."""
    return "".join(c if c.isprintable() else " " for c in text[:LONGEST])


def _place(one: object, device: str) -> Place:
    if isinstance(one, list):
        if len(one) != 2:
            raise TypeError("what was sent by another device is not [device, packet]")
        name, packet = one
        if not isinstance(name, str):
            raise TypeError("a device is not a string")
        return name, _octets(packet)
    return device, _octets(one)


def _octets(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError("a packet is not a string of hexadecimal digits")
    return bytes.fromhex(text)[:OCTETS]


def listener() -> socket.socket | None:
    """An observer's side in the calling thread's namespace; ``None`` if there are four already.

    Does not block. Each report comes with the credentials of its sender: ``receive``.
    """
    with _long_queue():
        found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    for address in ADDRESSES:
        try:
            found.bind(address)
        except OSError:
            continue
        found.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        return found
    found.close()
    return None


@contextlib.contextmanager
def _long_queue() -> Iterator[None]:
    """Let what is opened here hold ``QUEUE`` datagrams; in a user namespace that is not allowed."""
    before = ""
    with contextlib.suppress(OSError):
        before = _QUEUES.read_text(encoding="ascii")
        _QUEUES.write_text(str(QUEUE), encoding="ascii")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            _QUEUES.write_text(before, encoding="ascii")


def receive(observer: socket.socket) -> tuple[bytes, int]:
    """The next report and the process that sent it, 0 if that is not known.

    Raises:
        BlockingIOError: none waits.
    """
    message, ancillary, _, _ = observer.recvmsg(LARGEST, socket.CMSG_SPACE(_CREDENTIALS.size))
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            return message, _CREDENTIALS.unpack(data)[0]
    return message, 0


def tun_programs() -> dict[tuple[int, str], str]:
    """Who has which TUN or TAP device open: by namespace and name of the device, ``PID/name``.

    The kernel shows the device's name in the descriptor's ``fdinfo`` (drivers/net/tun.c), not its
    namespace: that is taken to be the program's. Other users' programs are not seen without root.
    """
    found: dict[tuple[int, str], str] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue  # not ours to see, or gone
        for fd in descriptors:
            try:
                is_tun = os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/net/tun"
                device = _device(pid, fd) if is_tun else ""
                if device:
                    namespace = Path(f"/proc/{pid}/ns/net").stat().st_ino
                    found.setdefault((namespace, device), f"{pid}/{program_name(int(pid))}")
            except OSError:
                continue
    return found


def _device(pid: str, fd: str) -> str:
    """The device of an open TUN descriptor: ``iff:`` and its name."""
    text = Path(f"/proc/{pid}/fdinfo/{fd}").read_text(encoding="utf-8", errors="replace")
    return next((line[4:].strip() for line in text.splitlines() if line.startswith("iff:")), "")


def program_name(pid: int) -> str:
    """The name of a process (``comm``); ``?`` if it is gone."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "?"
    return printable(name)
