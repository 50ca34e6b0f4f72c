"""A client, a NAT, a router, a server: three packets, and what became of them.

Everything that is told was observed: the server's own sockets and logs say what arrived.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path

import netlab
from netlab.errors import NetlabError

TOPOLOGY = Path(__file__).parent.parent / "topologies" / "nat.yaml"
PATIENCE = 5.0
"""Seconds to wait for a packet that should arrive at once."""


def main() -> int:
    """Tell the story; the exit code says whether all three packets arrived."""
    try:
        # A name of its own: a lab `nat` that somebody has up is left in peace.
        with netlab.Lab(TOPOLOGY, name=f"demo-{os.getpid()}") as lab:
            say(f"Built {TOPOLOGY.name}: " + " -- ".join(node.name for node in lab.nodes) + ".")
            for node in lab.nodes:
                addresses = "  ".join(f"{i.name} {' '.join(i.addresses)}" for i in node.interfaces)
                say(f"  {node.name:<8} {addresses}")
            arrived = [ping(lab), http(lab), protocol_255(lab)]
    except NetlabError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    say("\nTook the lab down again; nothing of it is left.")
    return 0 if all(arrived) else 1


def ping(lab: netlab.Lab) -> bool:
    """An ICMP echo by name."""
    say("\n1. A ping. The client asks for `server` by name: the lab gave it an /etc/hosts.")
    ran = lab["client"].run(["ping", "-c1", f"-W{PATIENCE:.0f}", "server"])
    answer = re.search(r"from .*time=\S+ ms", ran.stdout)
    return tell("ping", f"an answer came {answer.group()}" if answer else None)


def http(lab: netlab.Lab) -> bool:
    """A TCP connection through the NAT."""
    say("\n2. An HTTP request. The NAT translates the connection, the server sees the NAT:")
    ran = lab["client"].run(["curl", "-sS", "--max-time", f"{PATIENCE:.0f}", "http://server/"])
    log = lab["server"].log("http")
    seen = re.search(r"([0-9.]+)\]?:\d+: response:(\d+)", log)
    if ran.returncode or not seen:
        return tell("http", None)
    peer, status = seen.groups()
    return tell("http", f"{ran.stdout.strip()!r}; the server answered {status} to {peer}")


def protocol_255(lab: netlab.Lab) -> bool:
    """A packet of a protocol that nobody knows: neither TCP nor UDP, not even a port."""
    say("\n3. A packet of IP protocol 255. It has no ports, so the NAT can only change addresses:")
    with (
        lab["server"].socket(socket.AF_INET, socket.SOCK_RAW, 255) as receiver,
        lab["client"].socket(socket.AF_INET, socket.SOCK_RAW, 255) as sender,
    ):
        receiver.settimeout(PATIENCE)
        # A raw socket of protocol 255 expects a whole IP packet; let the kernel write the header.
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 0)
        sender.sendto(b"hello, I am not TCP", (lab["server"].address, 0))
        try:
            packet, (source, _) = receiver.recvfrom(2048)
        except TimeoutError:
            return tell("protocol 255", None)
    header = (packet[0] & 0x0F) * 4
    left = lab["client"].address
    return tell(
        "protocol 255", f"{packet[header:].decode()!r}; it left as {left}, came as {source}"
    )


def tell(what: str, seen: str | None) -> bool:
    """One line of what happened."""
    say(f"   {what}: {seen or 'LOST'}")
    return seen is not None


def say(text: str) -> None:
    """Print at once: a story should not wait for its end."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
