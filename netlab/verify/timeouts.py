"""When a NAT forgets: hours tried in seconds.

The NAT is built once more with its timeouts compressed to ``SECONDS``. Of each protocol two
sessions rest, one a little less than that and one clearly longer; then the server sends.
"""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from netlab.lab.lab import Lab
from netlab.topology.nat import Timeouts, Translator
from netlab.verify import Check
from netlab.verify.nat import SERVER, SILENCE, A, alone
from netlab.verify.probe import Probe, answer, one_cpu
from netlab.wire import icmp, ipv4
from netlab.wire.address import packed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlab.topology.model import Node

SECONDS = 1
SOON, LATE = 0.5, 2.0
"""When the server sends, in seconds after the last packet of the inside host."""

TRIES = 5
"""A machine under load may be late: what was sent after its time says nothing of "soon"."""

KEPT = "kept, then forgotten"


class Resting(NamedTuple):
    """A session in which the server may send; ``arrives`` says whether that came to the host."""

    send: Callable[[], object]
    arrives: Callable[[], bool]


def check_timeouts(node: Node) -> Iterator[Check]:
    """The timeouts of all described NATs of a node."""
    for nat in node.nat:
        if isinstance(nat, Translator):
            for name, found in measure(nat).items():
                seconds = getattr(nat.timeouts, _FIELDS[name])
                shown = f"{name} timeout, {seconds} s" + (
                    f" as {SECONDS} s" if seconds > SECONDS else ""
                )
                yield Check(node.name, shown, KEPT, found)


def measure(nat: Translator) -> dict[str, str | None]:
    """What happens to idle sessions, by protocol."""
    short = {f: min(SECONDS, getattr(nat.timeouts, f)) for f in Timeouts.__dataclass_fields__}
    # What opens or closes is never at rest here.
    short["tcp_transitory"] = nat.timeouts.tcp_transitory
    compressed = replace(nat, timeouts=Timeouts(**short))
    with one_cpu(), Lab(alone(compressed)) as lab, Probe(lab) as probe:
        # The server's own kernel would answer at once.
        lab["server"].run(["sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1"], check=True)
        late = {name: answer(begin, probe) for name, begin in _SESSIONS.items()}
        began = time.monotonic()
        lives = {
            name: answer(_lives, probe, begin, short[_FIELDS[name]])
            for name, begin in _SESSIONS.items()
        }
        time.sleep(max(began + LATE - time.monotonic(), 0))
        return {name: _verdict(late[name], lives=lives[name]) for name in _SESSIONS}


def _verdict(late: Resting | None, *, lives: bool | None) -> str | None:
    if late is None or lives is None:
        return None
    if not lives:
        return "forgotten early"
    late.send()
    return "kept too long" if late.arrives() else KEPT


def _lives(probe: Probe, begin: Callable[[Probe], Resting], timeout: int) -> bool:
    for _ in range(TRIES):
        began = time.monotonic()
        soon = begin(probe)
        time.sleep(SOON * timeout / SECONDS)
        soon.send()
        if soon.arrives():
            return True
        if time.monotonic() - SILENCE - began < timeout:
            return False
    return False


def _udp(probe: Probe) -> Resting:
    server, client = probe.udp("server", SERVER), probe.udp("a", A)
    client.sendto(b"x", server.getsockname())
    outside = server.recvfrom(9)[1]
    return Resting(lambda: server.sendto(b"late", outside), lambda: _comes(client, b"late"))


def _tcp(probe: Probe) -> Resting:
    server = probe.open("server", socket.SOCK_STREAM, 0, (SERVER, 0))
    server.listen()
    client = probe.open("a", socket.SOCK_STREAM, 0, (A, 0))
    client.connect(server.getsockname())
    accepted, _ = server.accept()
    probe.keep(accepted)
    return Resting(lambda: accepted.send(b"late"), lambda: _comes(client, b"late"))


def _icmp(probe: Probe) -> Resting:
    """An echo whose reply is long in coming."""
    server = probe.open("server", socket.SOCK_RAW, icmp.PROTOCOL)
    client = probe.open("a", socket.SOCK_RAW, icmp.PROTOCOL)
    # A raw socket sees the replies of all sessions: each has an identifier and data of its own.
    number = client.fileno()
    data = b"late %d" % number
    request = icmp.echo_request(4, number, 1, data)
    client.sendto(icmp.encode(request, packed(A), packed(SERVER)), (SERVER, 0))
    octets, (outside, _) = server.recvfrom(99)
    arrived = icmp.parse(ipv4.payload(octets, ipv4.parse(octets)))
    reply = icmp.encode(icmp.echo_reply(4, arrived), packed(SERVER), packed(outside))
    return Resting(lambda: server.sendto(reply, (outside, 0)), lambda: _comes(client, data))


def _comes(client: socket.socket, data: bytes) -> bool:
    client.settimeout(SILENCE)
    try:
        while not client.recv(99).endswith(data):
            pass
    except TimeoutError:
        return False
    return True


_SESSIONS = {"udp": _udp, "tcp": _tcp, "icmp": _icmp}
_FIELDS = {"udp": "udp", "tcp": "tcp_established", "icmp": "icmp"}
