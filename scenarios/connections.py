"""What each middlebox does to a TCP connection: a kernel's client, an echo service in userspace."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from netlab.lab import reconfigure
from netlab.topology.model import Box

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from netlab.lab.lab import Lab

SERVER = ("203.0.113.100", 7)
SMALL, LARGE = 10, 50_000
"""Octets that are sent to the echo service, and that must come back."""

PATIENCE = 15.0
"""Seconds without an octet after which a connection is given up."""

SHORT = 1.0
"""The same where a connection is expected to hang: what never comes may be waited for shortly."""

WIRE, GUARD = "far:wire", "guard"

TIMESTAMPS, SACK, WINDOW_SCALE = 1, 2, 4
"""Bits of ``tcpi_options`` (Linux, include/uapi/linux/tcp.h)."""


class Way(NamedTuple):
    """A box at ``place``; ``mtu`` that of the link behind it."""

    name: str
    place: str = WIRE
    kind: str = ""
    parameters: tuple[tuple[str, object], ...] = ()
    mtu: int = 1500
    patience: float = PATIENCE


WAYS = (
    Way("nothing"),
    Way("one of twenty is lost", WIRE, "impair", (("loss", "5%"), ("seed", 7))),
    Way("reordering", WIRE, "impair", (("delay", "5ms"), ("reorder", "30%"), ("seed", 7))),
    Way("duplication", WIRE, "duplicator"),
    Way("options are removed", WIRE, "option-remove", (("kinds", (3, 4, 8)),)),
    Way("SACK is made NOPs", GUARD, "option-nop", (("option", "sack-permitted"),)),
    Way("MSS is clamped to 900", GUARD, "mss-clamp", (("mss", 900),)),
    Way("sequence numbers are rewritten", WIRE, "sequence-rewrite"),
    Way("segments are split", WIRE, "split", (("size", 536),)),
    Way("segments are joined", WIRE, "coalesce"),
    Way("strict window", GUARD, "strict-window"),
    # First the black hole: once ICMP has told the client of the narrow link, it knows.
    Way("a narrow link, and a black hole", GUARD, "mtu-black-hole", mtu=1300, patience=SHORT),
    Way("a narrow link", mtu=1300),
)


def survey(lab: Lab, _: random.Random) -> list[dict[str, object]]:
    """A row for each way: what was changed, what was agreed on, what came back."""
    return [_row(lab, way) for way in WAYS]


def _row(lab: Lab, way: Way) -> dict[str, object]:
    with _built(lab, way), lab["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE)
        with lab.observe() as watch:
            client.connect(SERVER)
            small = _echoed(client, SMALL)
            watch.settle()
        client.settimeout(way.patience)
        large = _echoed(client, LARGE)
        options, segment = _agreed(client)
    [syn] = [f for f in watch.traces.where(proto=6) if f.packet.flags & 0x12 == 0x02][:1]
    changes = {change.partition(" ")[0] for hop in syn.hops for change in hop.changes}
    return {
        "on the way": way.name,
        "changed in the SYN": " ".join(sorted(changes - {"IP::TTL"})),
        "agreed on": options,
        "segment": segment,
        f"{SMALL} octets": small,
        f"{LARGE} octets": large,
    }


@contextlib.contextmanager
def _built(lab: Lab, way: Way) -> Iterator[None]:
    boxes = [Box(way.kind, way.parameters)] if way.kind else []
    reconfigure.put_boxes(lab, way.place, boxes)
    _narrow(lab, way.mtu)
    try:
        yield
    finally:
        reconfigure.put_boxes(lab, way.place, [])
        _narrow(lab, 1500)
        lab["client"].run(["ip", "route", "flush", "cache"], check=True)


def _narrow(lab: Lab, mtu: int) -> None:
    for node in ("guard", "far"):
        lab[node].run(["ip", "link", "set", "dev", "core", "mtu", str(mtu)], check=True)


def _echoed(client: socket.socket, size: int) -> str:
    """Whether so many octets come back as they were sent."""
    sent = bytes(n % 251 for n in range(size))
    came = b""
    try:
        client.sendall(sent)
        while len(came) < size:
            piece = client.recv(size - len(came))
            if not piece:
                break
            came += piece
    except TimeoutError:
        return "hangs"
    except ConnectionError:
        return "reset"
    return "come back" if came == sent else "come back changed"


def _agreed(client: socket.socket) -> tuple[str, int]:
    """The options that both ends use, and the octets of data in a full segment."""
    info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 24)
    bits, segment = info[5], struct.unpack_from("=I", info, 16)[0]
    names = {WINDOW_SCALE: "scale", SACK: "SACK", TIMESTAMPS: "timestamps"}
    return " ".join(name for bit, name in names.items() if bits & bit), segment
