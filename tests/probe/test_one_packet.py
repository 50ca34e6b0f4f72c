"""One packet, then nothing: every candidate cause, and what tells it from the others."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import pytest

from netlab.capture import drops
from netlab.hdp import endpoint
from netlab.io.hdp import endpoints as drive
from netlab.linux import namespaces
from netlab.probe import sweep as probing
from netlab.trace import kernel_reasons

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.lab.lab import Lab
    from netlab.probe.rows import Sweep

T = TypeVar("T")

pytestmark = pytest.mark.kernel

NUMBERS = (143, 200, 253)
"""Numbers that nothing between client and server has heard of."""


def lab(name: str) -> pytest.MarkDecorator:
    return pytest.mark.netlab(topology=f"topologies/hdp/one-packet-{name}.yaml")


class Signature(NamedTuple):
    """What an observer can tell of one number without knowing the cause."""

    outcome: str
    reason: str
    arrived: int | None
    counted: int
    """Packets of the flow that the NAT's conntrack counted."""


def signature(made: Sweep, netlab: Lab) -> set[Signature]:
    counted = conntrack(netlab)
    return {
        Signature(row.outcome, bare(row.reason), row.arrived, counted.get(row.argument, 0))
        for row in made.rows
    }


def bare(reason: str) -> str:
    """Which packets died and where; why is a word of the kernel that not every user gets to see."""
    return re.sub(r"(?:(?:probably )?died|vanished) in (\w+):.*", r"died in \1", reason)


def conntrack(netlab: Lab) -> dict[int, int]:
    listed = netlab["home"].run(["cat", "/proc/net/nf_conntrack"], check=True).stdout
    # ipv4 2 unknown 143 599 src=… dst=… packets=3 bytes=111 [UNREPLIED] …
    found = {}
    for line in listed.splitlines():
        packets = re.search(r"packets=(\d+)", line)
        if packets:
            found[int(line.split()[3])] = int(packets[1])
    return found


def probe(netlab: Lab, client: str = "client", **options: object) -> Sweep:
    options = {"arguments": NUMBERS} | options
    return probing.sweep(netlab, client, "server", **options)  # type: ignore[arg-type]


@lab("filter")
@pytest.mark.parametrize("family", [4, 6])
def test_a_filter_drops_after_conntrack_counted(netlab: Lab, family: int) -> None:
    made = probe(netlab, family=family)
    assert signature(made, netlab) == {
        Signature(
            "partly",
            "#2 and #3 died in home, forward chain,"
            ' rule "first-packet-only" (one-packet-filter.yaml:21)',
            1,
            3,
        )
    }


@lab("offload")
@pytest.mark.parametrize("family", [4, 6])
def test_an_offload_takes_packets_before_conntrack_counts(netlab: Lab, family: int) -> None:
    netlab["home"].run(["sysctl", "-w", "net.netfilter.nf_conntrack_acct=1"], check=True)
    made = probe(netlab, family=family)
    assert signature(made, netlab) == {Signature("partly", "#2 and #3 died in home", 1, 1)}


@lab("checksum")
def test_a_stale_checksum_dies_one_hop_later(netlab: Lab) -> None:
    made = probe(netlab)
    assert signature(made, netlab) == {Signature("partly", "#2 and #3 died in isp", 1, 3)}
    assert header_errors(netlab, "isp") == 2 * len(NUMBERS)


@lab("checksum")
def test_the_kernel_s_own_word_for_it(netlab: Lab) -> None:
    inside = functools.partial(_inside, netlab)
    watching = drops.Drops(["isp"], inside)
    try:
        watching.start()
    except OSError as error:
        pytest.skip(f"no drop reasons: {error}")
    finally:
        watching.stop()
    [reason] = {row.reason for row in probe(netlab).rows}
    assert reason.startswith("#2 and #3 died in isp: the IP header checksum is wrong [IP_CSUM")


def _inside(netlab: Lab, node: str, action: Callable[[], T]) -> T:
    return namespaces.inside(netlab[node].namespace, action)


def header_errors(netlab: Lab, node: str) -> int:
    lines = netlab[node].run(["cat", "/proc/net/snmp"], check=True).stdout.splitlines()
    names, values = (line.split() for line in lines if line.startswith("Ip:"))
    return int(dict(zip(names, values, strict=True))["InHdrErrors"])


CLASH = f"in home: {kernel_reasons.CLASH}"
"""Only a counter knows it where the user sees no drop reasons: then it "probably died"."""


@lab("clash")
def test_the_first_of_two_clients_keeps_the_mapping(netlab: Lab) -> None:
    assert {row.outcome for row in probe(netlab, "other").rows} == {"received"}
    second = probe(netlab, forget=False)
    assert {(row.outcome, row.arrived) for row in second.rows} == {("lost", 0)}
    assert all(CLASH in row.reason for row in second.rows)
    # It is the flow that has the mapping and not the client that is refused: other goes on …
    assert {row.outcome for row in probe(netlab, "other", forget=False).rows} == {"received"}
    # … and with the mapping gone the client is as good as anybody.
    assert {row.outcome for row in probe(netlab).rows} == {"received"}


@lab("clash")
def test_the_mapping_is_free_again_when_its_time_is_over(netlab: Lab) -> None:
    timeout = "net.netfilter.nf_conntrack_generic_timeout=1"
    netlab["home"].run(["sysctl", "-w", timeout], check=True)
    assert {row.outcome for row in probe(netlab, "other").rows} == {"received"}
    tries = 0
    while {row.outcome for row in probe(netlab, forget=False).rows} != {"received"}:
        tries += 1
        assert tries < 200
    assert tries


@lab("clash")
def test_one_packet_from_the_server_takes_the_mapping_from_all(netlab: Lab) -> None:
    home = drive.Target(4, "203.0.113.2", "198.51.100.2")
    rows = namespaces.inside(
        netlab["server"].namespace,
        lambda: list(drive.client(endpoint.Client(), home, NUMBERS, 1, 0)),
    )
    assert all(row.succeeded for row in rows)
    for client in ("client", "other"):
        made = probe(netlab, client, forget=False)
        assert {row.outcome for row in made.rows} == {"lost"}
        assert all(CLASH in row.reason for row in made.rows)


@lab("clash")
def test_one_packet_then_nothing_when_the_mapping_changes_hands(netlab: Lab) -> None:
    assert {row.arrived for row in probe(netlab, packets=1).rows} == {1}
    # Between two packets of the client the entry expires and the other host is quicker.
    assert {row.arrived for row in probe(netlab, "other", packets=1).rows} == {1}
    last = probe(netlab, packets=2, forget=False)
    assert all(CLASH in row.reason for row in last.rows)


@pytest.mark.netlab(topology="topologies/nat.yaml")
def test_masquerade_alone_does_not_do_it(netlab: Lab) -> None:
    made = probe(netlab, packets=50)
    assert {(row.outcome, row.arrived) for row in made.rows} == {("received", 50)}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=lab(name)) for name in ("filter", "offload", "checksum")]
)
def test_udp_gets_through_all_of_them(netlab: Lab, name: str) -> None:
    del name
    server, client = netlab["server"], netlab["client"]
    with server.socket(2, 2) as receiver, client.socket(2, 2) as sender:
        receiver.bind(("", 420))
        receiver.settimeout(5)
        for text in (b"1", b"2", b"3"):
            sender.sendto(text, (server.address, 420))
        assert [receiver.recv(10) for _ in range(3)] == [b"1", b"2", b"3"]
