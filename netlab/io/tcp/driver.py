"""Drive a stack: packets from a device to it, packets from it to the device."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, LabError
from netlab.tcp.settings import DEFAULTS, Settings
from netlab.tcp.stack import Socket, Stack
from netlab.wire.address import packed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from netlab.io.tcp.tun import Arrival
    from netlab.linux.packet_reports import Reporter
    from netlab.tcp.ip import Packet

    class Device(Protocol):
        """What packets come from and go to; ``netlab.io.tcp.tun.Tun`` is one."""

        offload: bool
        mtu: int
        addresses: list[str]

        @property
        def reporter(self) -> Reporter | None: ...  # noqa: D102
        def fileno(self) -> int: ...  # noqa: D102
        def read(self) -> Arrival | None: ...  # noqa: D102
        def write(self, packet: Packet) -> None: ...  # noqa: D102


BATCH = 16  # packets; at 64 KiB each a quarter of the window, so that the peer need not wait
DRAIN = 512  # batches: the device's whole queue
LARGEST_SEGMENT = 65160  # 45 * 1448: with its headers just below the 65,535 octets of IPv4


class Driver:
    """A stack, a device and the clock. Who waits, and how, is for the caller to decide.

    ``addresses``, as text, belong to the stack alone: the kernel must not own them. By default
    they are those that are routed to the device; with an empty list every address is the stack's.
    """

    def __init__(
        self,
        device: Device,
        addresses: Iterable[str] | None = None,
        settings: Settings = DEFAULTS,
    ) -> None:
        if addresses is None:
            addresses = device.addresses
            if not addresses:
                hint = "name them, or route them to the device: ip route add IP/32 dev tun0"
                raise LabError(Diagnostic("E705", "the stack has no address", hint=hint))
        self.device = device
        largest = LARGEST_SEGMENT if device.offload else 0
        settings = settings._replace(mtu=device.mtu, largest_segment=largest)
        self.stack = Stack(map(packed, addresses), os.urandom(16), settings)
        self.now = time.monotonic

    def receive_all(self) -> bool:
        """Read what the device has, up to a batch; True if there may be more.

        ACKs go out after the whole batch, one for all its segments (MUST-58, MUST-59).
        """
        read, receive, reporter = self.device.read, self.stack.receive, self.device.reporter
        now = self.now()
        for _ in range(BATCH):
            arrival = read()
            if arrival is None:
                return False
            packet, mss, verified = arrival
            outcome = receive(packet, now, mss=mss, verified=verified)
            if reporter and reporter.is_wanted:
                reporter.report(packet, outcome.end, outcome.text)
        return True

    def flush(self) -> list[Socket]:
        """Write what the stack has to send; returns the places with news."""
        write = self.device.write
        for packet in self.stack.to_send(self.now()):
            write(packet)
        return self.stack.take_changed()

    def tick(self) -> None:
        """Let timers act whose time has come.

        What the device holds is read first: where the program was slow, the ACK that a timer waits
        for has often come long ago.
        """
        if self.stack.next_timer() > self.now():
            return
        for _ in range(DRAIN):
            if not self.receive_all():
                break
        self.stack.handle_timer(self.now())
