"""A device that is watched: what passes is written to a capture file, or logged line by line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, BinaryIO

from netlab.tcp.ip import complete, read
from netlab.wire import Malformed, pcapng
from netlab.wire.address import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.io.tcp.driver import Device
    from netlab.io.tcp.tun import Arrival
    from netlab.tcp.ip import Packet
    from netlab.wire import Buffer


class Watched:
    """A ``Device`` in front of another; ``watcher`` sees each packet, and whether it goes out."""

    def __init__(self, device: Device, watcher: Callable[[Buffer, bool], None]) -> None:
        self._device = device
        self._watcher = watcher
        self.offload = device.offload
        self.mtu = device.mtu
        self.addresses = device.addresses
        self.reporter = device.reporter

    def fileno(self) -> int:
        """For ``select`` and its like."""
        return self._device.fileno()

    def read(self) -> Arrival | None:
        """As the device's."""
        arrival = self._device.read()
        if arrival is not None:
            self._watcher(arrival.packet, False)
        return arrival

    def write(self, packet: Packet) -> None:
        """As the device's."""
        self._watcher(complete(packet), True)
        self._device.write(packet)


def recorder(file: BinaryIO) -> Callable[[Buffer, bool], None]:
    """A watcher that writes a pcapng file."""
    file.write(pcapng.section() + pcapng.interface(pcapng.LINKTYPE_RAW))

    def record(packet: Buffer, outgoing: bool) -> None:  # noqa: FBT001
        direction = pcapng.OUTBOUND if outgoing else pcapng.INBOUND
        file.write(pcapng.packet(0, time.time_ns(), bytes(packet), direction=direction))
        file.flush()

    return record


def teller(tell: Callable[[str], None]) -> Callable[[Buffer, bool], None]:
    """A watcher that says each segment: source, destination, octets, flags."""

    def show(packet: Buffer, outgoing: bool) -> None:  # noqa: FBT001
        sign = "->" if outgoing else "<-"
        try:
            found = read(packet, 0, verified=True)
        except Malformed as reason:
            tell(f"{sign} {len(packet)} octets: {reason}")
            return
        if found is None:
            tell(f"{sign} {len(packet)} octets, protocol {packet[9 if packet[0] >> 4 == 4 else 6]}")
            return
        key, segment = found
        size = len(key) // 2 - 2
        source, target = text(key[:size]), text(key[size : 2 * size])
        ports = int.from_bytes(key[-4:-2], "big"), int.from_bytes(key[-2:], "big")
        tell(f"{sign} {source}.{ports[0]} > {target}.{ports[1]}: {segment}")

    return show
