"""The lab against what was measured and published: every row."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import pytest

from netlab.hdp import endpoint
from netlab.io.hdp import endpoints as drive
from netlab.linux import namespaces, raw_socket
from netlab.probe import sweep as probing
from netlab.wire import hdp
from netlab.wire.address import text
from tests.io.taps import everything

if TYPE_CHECKING:
    from netlab.hdp.table import ClientRow
    from netlab.lab.lab import Lab
    from netlab.probe.rows import Row

    from .conftest import Table

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.root,  # reads nft's trace of a sweep, with buffers beyond rmem_max
]

SITE = pytest.mark.netlab(topology="topologies/hdp/site.yaml")
ALL = range(263)


@SITE
def test_the_author_s_loopback_table(netlab: Lab, table: Table) -> None:
    published = table("linux_no_server_client_loopback.csv")
    target = drive.Target(4, "127.0.0.1", "127.0.0.1")

    def send() -> list[ClientRow]:
        return list(drive.client(endpoint.Client(), target, sorted(published), 1, 0))

    rows = {row.protocol: row for row in namespaces.inside(netlab["client"].namespace, send)}
    assert {number: (str(int(row.succeeded)), row.error) for number, row in rows.items()} == {
        number: (row["sent_ok"], row["error"]) for number, row in published.items()
    }
    assert len(rows) == 258


@SITE
@pytest.mark.parametrize("family", [4, 6])
def test_what_a_raw_socket_for_each_number_receives(netlab: Lab, table: Table, family: int) -> None:
    measured = table(f"linux618_rx_all_v{family}.csv")
    made = probing.sweep(netlab, "client", "server", family=family, arguments=ALL, packets=1)
    assert {row.argument: as_measured(row) for row in made.rows} == {
        argument: (
            row["send"],
            row["proto_on_wire"],
            # At 231 the measurement also caught an ICMPv6 message of the machine's own.
            row["received_by_raw_socket_proto"].split(" ")[-1],
            row["bytes"].split(" ")[-1],
            row["reply_seen"].replace("(1, 3, 2)", "icmp 3/2"),
        )
        for argument, row in measured.items()
    }


def as_measured(row: Row) -> tuple[str, str, str, str, str]:
    failed = {93: "create:93 Protocol not supported", 22: "send:22 Invalid argument"}
    error = row.socket_error or row.send_error
    return (
        failed[error] if error else "ok",
        str(row.protocol) if row.on_wire else "",
        str(row.protocol) if row.received else "",
        str(row.length or ""),
        row.reply or "",
    )


@SITE
@pytest.mark.parametrize("size", [17, 117])
@pytest.mark.parametrize("family", [4, 6])
def test_what_the_kernel_answers_where_nobody_listens(
    netlab: Lab, table: Table, family: int, size: int
) -> None:
    measured = table(f"linux618_noserver_replies_v{family}_hdp{size}B.csv")
    made = probing.sweep(
        netlab, "client", "server", family=family, arguments=sorted(measured), packets=1,
        size=size, listen=False, kernel_header=True,
    )  # fmt: skip
    assert {row.argument: row.reply or "" for row in made.rows} == {
        argument: row["reply"] for argument, row in measured.items()
    }


NUMBERS = range(1, 256)


@pytest.mark.netlab(topology="topologies/hdp/two-clients.yaml")
def test_two_clients_behind_one_nat(netlab: Lab, table: Table) -> None:
    measured = table("linux618_nat_two_clients.csv")
    first = heard(netlab, "a", "10.9.0.2", b"A1", ["server"])
    second = heard(netlab, "a", "10.9.0.2", b"A2", ["server"])
    other = heard(netlab, "b", "10.9.0.2", b"B1", ["server"])
    entries = conntrack(netlab)
    replies = heard(netlab, "server", "10.9.0.1", b"R1", ["a", "b"])
    assert {
        number: {
            "proto": str(number),
            "A1_seen_by_server_as": first["server"].get(number, ""),
            "A2_seen_by_server_as": second["server"].get(number, ""),
            "B1_seen_by_server_as": other["server"].get(number, ""),
            "reply_seen_by_A": replies["a"].get(number, ""),
            "reply_seen_by_B": replies["b"].get(number, ""),
            "conntrack_entry": entries.get(number, ""),
        }
        for number in NUMBERS
    } == {
        number: row | {"conntrack_entry": addresses(row["conntrack_entry"])}
        for number, row in measured.items()
    }


def heard(
    netlab: Lab, node: str, target: str, label: bytes, hearers: list[str]
) -> dict[str, dict[int, str]]:
    """One datagram of every number; each hearer's ``source:label`` by number."""

    def send() -> None:
        for number in NUMBERS:
            with raw_socket.raw_socket(4, number) as mouth:
                mouth.sendto(hdp.encode(hdp.Header(1), label), (target, 0))

    with contextlib.ExitStack() as stack:
        taps = {
            hearer: stack.enter_context(namespaces.inside(netlab[hearer].namespace, raw_socket.Tap))
            for hearer in hearers
        }
        namespaces.inside(netlab[node].namespace, send)
        return {hearer: arrivals(tap, label) for hearer, tap in taps.items()}


def arrivals(tap: raw_socket.Tap, label: bytes) -> dict[int, str]:
    found = {}
    for frame in everything(tap):
        event = endpoint.Server().packet(frame.data, frame.time)
        if not frame.outgoing and isinstance(event, endpoint.Received) and event.data == label:
            found[event.protocol] = f"{text(event.source)}:{label.decode()}"
    return found


def conntrack(lab: Lab) -> dict[int, str]:
    listed = lab["home"].run(["cat", "/proc/net/nf_conntrack"], check=True).stdout
    # ipv4     2 unknown  143 599 src=10.1.0.2 dst=… [UNREPLIED] src=… dst=… mark=0 zone=0 use=2
    return {int(line.split()[3]): addresses(line) for line in listed.splitlines()}


def addresses(entry: str) -> str:
    return " ".join(re.findall(r"(?:src|dst)=\S+|\[UNREPLIED\]", entry))


@pytest.mark.netlab(topology="topologies/hdp/tokyo.yaml")
def test_the_numbers_that_reached_tokyo(netlab: Lab, table: Table) -> None:
    captured = table("tokyo_tcpdump_received.csv")
    sent = [number for number in range(18, 256) if number not in (50, 51)]  # macOS sends neither
    made = probing.sweep(netlab, "client", "server", arguments=sent, packets=1)
    assert {row.argument for row in made.rows if row.arrived} == set(captured)
    assert {row.argument: row.reason for row in made.rows if not row.arrived} == {
        47: 'died in home, forward chain, rule "pptp-helper" (tokyo.yaml:28)',
        58: 'died in isp, forward chain, rule "bcp38" (tokyo.yaml:42); left the NAT untranslated',
        103: 'died in home, forward chain, rule "no-multicast" (tokyo.yaml:29)',
    }


@SITE
def test_in_one_site_all_arrive(netlab: Lab) -> None:
    made = probing.sweep(netlab, "client", "server", packets=1)
    assert {row.protocol for row in made.rows if row.arrived} == set(range(256))


@pytest.mark.netlab(topology="topologies/hdp/home-to-cloud.yaml")
@pytest.mark.parametrize("family", [4, 6])
def test_from_home_to_the_cloud_nothing_arrives_but_what_it_knows(netlab: Lab, family: int) -> None:
    made = probing.sweep(netlab, "client", "server", family=family)
    # As IPv6 extension headers 43 and 60 start with the number of what follows them, and HDP with
    # the high octet of port 420: the rule finds a 1 there, which is ICMP.
    known = {1, 6, 17, 58} | ({43, 60} if family == 6 else set())
    assert {row.protocol for row in made.rows if row.arrived} == known
    lost = {row.protocol: row.reason.split(";")[0] for row in made.rows if row.outcome == "lost"}
    # A fragment header (44) made of HDP does not survive the reassembly of the first conntrack.
    allow_list = 'died in cloud, forward chain, rule "allow-list" (home-to-cloud.yaml:21)'
    fragments = lost.pop(44)
    assert (" home: " in fragments) if family == 6 else (fragments == allow_list)
    assert set(lost.values()) == {allow_list}
