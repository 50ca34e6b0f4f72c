"""The translator between IPv4 and IPv6 at a TUN device of a NAT's own (NAT64).

The kernel routes the IPv6 prefix and the lent IPv4 addresses to the device; what is read there
goes back translated. ``main`` takes all of it as JSON, see ``plan.nat64``, and says ``ready``.
"""

from __future__ import annotations

import json
import select
import sys
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from netlab.io.tcp.tun import Tun
from netlab.siit import AddressPool, Embedding, Translator
from netlab.tcp.ip import Packet

if TYPE_CHECKING:
    from collections.abc import Sequence


def carry(tun: Tun, translator: Translator) -> None:
    """Translate all that waits at the device."""
    while arrival := tun.read():
        packets, refused = translator.translate(arrival.packet)
        if tun.reporter.is_wanted:
            end = "absorbed" if refused else ""
            tun.reporter.report(arrival.packet, end, refused, packets)
        for packet in packets:
            tun.write(Packet(packet))


def main(argv: Sequence[str]) -> None:
    """Run until killed."""
    settings = json.loads(argv[0])
    translator = Translator(
        Embedding(IPv6Network(settings["prefix"])),
        AddressPool(IPv4Network(settings["lent"])),
        IPv4Address(settings["own"]).packed,
        settings["mtu"],
    )
    with Tun(settings["device"], offload=False) as tun:
        print("ready", flush=True)
        while True:
            select.select((tun,), (), ())
            carry(tun, translator)


if __name__ == "__main__":
    main(sys.argv[1:])
