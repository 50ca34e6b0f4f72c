"""What exercises ask besides the fates of single packets: each function is a step of a scenario."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import TYPE_CHECKING

from netlab.lab import reconfigure
from netlab.verify.probe import Probe, drain, one_cpu

if TYPE_CHECKING:
    import random

    from netlab.lab.lab import Lab

UDP = 17
SERVICE = 5060
BLOCK = ipaddress.IPv4Network("192.0.2.0/24")
HOSTS = {"pupil": 100, "clerk": 50, "printer": 10}
"""How many addresses for hosts the network of each needs."""

OCTETS = 100_000
"""Some segments of full size."""

PATIENCE = 5.0
"""Seconds without an octet after which a transfer counts as stuck: retransmissions come sooner."""


def _yes(found: object) -> str:
    return "yes" if found else "no"


def subnets(lab: Lab, _: random.Random) -> list[dict[str, str]]:
    """Whether each department has a subnet of the block that is large enough."""
    rows = []
    for name, hosts in HOSTS.items():
        addresses = [
            ipaddress.IPv4Interface(address)
            for interface in lab[name].interfaces
            for address in interface.addresses
            if ":" not in address
        ]
        networks = [address.network for address in addresses]
        inside = bool(networks) and all(network.subnet_of(BLOCK) for network in networks)
        large = any(network.num_addresses - 2 >= hosts for network in networks)
        rows.append({"host": name, "in the block": _yes(inside), "large enough": _yes(large)})
    return rows


def transfer(lab: Lab, _: random.Random) -> list[dict[str, str]]:
    """Whether a page of many full segments comes from ``server`` to ``client``."""
    with contextlib.ExitStack() as stack:
        listener, client = (
            stack.enter_context(lab[name].socket(socket.AF_INET, socket.SOCK_STREAM))
            for name in ("server", "client")
        )
        for each in (listener, client):
            each.settimeout(PATIENCE)
        listener.bind(("", 80))
        listener.listen()
        arrived = 0
        try:
            client.connect((lab["server"].address, 80))
            accepted = stack.enter_context(listener.accept()[0])
            accepted.setblocking(False)
            unsent = bytes(OCTETS)
            while arrived < OCTETS:
                with contextlib.suppress(BlockingIOError):
                    unsent = unsent[accepted.send(unsent) :] if unsent else b""
                got = len(client.recv(OCTETS))
                arrived += got
                if not got:
                    break
        except OSError:
            pass  # it is stuck, or was never made: what has arrived says so
    return [{"connects": _yes(arrived or _connected(client)), "arrives": _yes(arrived == OCTETS)}]


def _connected(client: socket.socket) -> bool:
    try:
        client.getpeername()
    except OSError:
        return False
    return True


def idle(lab: Lab, _: random.Random) -> list[dict[str, object]]:
    """Whether the exchange reaches the phone after so many seconds of silence."""
    rows: list[dict[str, object]] = []
    with one_cpu():
        for seconds in (240, 600):
            with Probe(lab) as probe:
                exchange = probe.udp("exchange", lab["exchange"].address, SERVICE)
                phone = probe.udp("phone")
                outside = _outside(phone, exchange)
                reconfigure.age(lab, "nat", seconds, UDP)
                exchange.sendto(b"ring", outside)
                # Behind it goes one to a mapping that is there for sure.
                fresh = probe.udp("phone")
                exchange.sendto(b"done", _outside(fresh, exchange))
                fresh.recv(100)
                rows.append({"idle": seconds, "rings": _yes(drain(phone))})
    return rows


def _outside(inside: socket.socket, server: socket.socket) -> tuple[str, int]:
    inside.sendto(b"who am I", server.getsockname())
    endpoint: tuple[str, int] = server.recvfrom(100)[1]
    return endpoint


def strangers(lab: Lab, _: random.Random) -> list[dict[str, str]]:
    """Whether an address that Boris never wrote to reaches him: the core's."""
    with one_cpu(), Probe(lab) as probe:
        server = probe.udp("server", lab["server"].address, SERVICE)
        boris = probe.udp("boris")
        outside = _outside(boris, server)
        stranger = probe.udp("core")
        stranger.sendto(b"hello", outside)
        server.sendto(b"done", outside)
        heard = set()
        while b"done" not in heard:
            heard.add(boris.recv(100))
    return [{"strangers come in": _yes(b"hello" in heard)}]
