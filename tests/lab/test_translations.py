"""A NAT of a running lab gives its mappings other ports, or forgets them all."""

import socket

import pytest

from netlab.cli import main
from netlab.errors import LabError
from netlab.lab import translations
from netlab.lab.lab import Lab
from netlab.plan.build import build
from netlab.plan.operations import SetSysctl
from netlab.topology import load

LAB = """
name: translations
nodes:
  a:
  nat: {kind: nat, outside: wan%s}
  server:
links:
  - {ends: [nat:lan, a:eth0], subnet: 10.0.0.0/24}
  - {ends: [nat:wan, server:eth0], subnet: 192.0.2.0/24}
"""
KINDS = {
    "Linux": "",
    "preserve": ", nat: {mapping: endpoint-independent}",
    "parity": ", nat: {ports: preserve-parity}",
    "overload": ", nat: {ports: overload}",
    "sequential": ", nat: {ports: sequential}",
    "blocks": ", nat: {port-block: 512, port-range: 30000-49999}",
    "symmetric": ", nat: {preset: symmetric}",
    "symmetric, preserve": ", nat: {mapping: address-and-port-dependent}",
    "by address": ", nat: {mapping: address-dependent, filtering: address-dependent}",
}


@pytest.fixture
def lab(request, tmp_path):
    file = tmp_path / "lab.yaml"
    file.write_text(LAB % KINDS[getattr(request, "param", "preserve")])
    with Lab(file) as made:
        yield made


class Pair:
    """A client and a server behind each other's socket, for as long as a ``with`` block lasts."""

    def __init__(self, lab):
        self.client = lab["a"].socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client.bind(("10.0.0.2", 40_000))
        self.server = lab["server"].socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.bind(("", 5000))
        for each in (self.client, self.server):
            each.settimeout(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()
        self.server.close()

    def outside(self):
        """The outside endpoint that the server sees, after it has answered there."""
        self.client.sendto(b"out", ("192.0.2.2", 5000))
        source = self.server.recvfrom(9)[1]
        self.server.sendto(b"back", source)
        assert self.client.recv(9) == b"back"
        return source


@pytest.mark.kernel
@pytest.mark.parametrize("lab", KINDS, indirect=True)
def test_rebinding_changes_the_port_and_the_flow_goes_on(lab):
    with Pair(lab) as pair:
        before = pair.outside()
        assert pair.outside() == before
        assert "1 inside endpoints get other ports" in translations.rebind(lab, "nat", seed=3)
        # What comes to the old port finds no mapping.
        pair.server.sendto(b"late", before)
        after = pair.outside()
        assert after[0] == before[0]
        assert after[1] != before[1]
        assert pair.outside() == after
        translations.rebind(lab, "nat", seed=4)
        assert pair.outside() not in (before, after)


@pytest.mark.kernel
def test_a_parity_is_kept_and_a_seed_gives_the_same(lab):
    with Pair(lab) as pair:
        pair.outside()
        seen = []
        for _ in range(2):
            translations.reboot(lab, "nat")
            pair.outside()
            translations.rebind(lab, "nat", seed=5)
            seen.append(pair.outside())
        assert seen[0] == seen[1]


@pytest.mark.kernel
@pytest.mark.parametrize("lab", ["parity"], indirect=True)
def test_a_new_port_has_the_old_one_s_parity(lab):
    with Pair(lab) as pair:
        pair.outside()
        for seed in range(3):
            translations.rebind(lab, "nat", seed=seed)
            assert pair.outside()[1] % 2 == 0


@pytest.mark.kernel
@pytest.mark.parametrize("lab", ["sequential"], indirect=True)
def test_a_reboot_forgets_all_and_counts_anew(lab):
    with Pair(lab) as pair:
        first = pair.outside()
        assert "1 flows forgotten" in translations.reboot(lab, "nat")
        pair.server.sendto(b"late", first)
        assert pair.outside() == first


@pytest.mark.kernel
def test_the_command(lab, capsys):
    with Pair(lab) as pair:
        before = pair.outside()
        assert main(["nat", "rebind", "translations/nat"]) == 0
        assert pair.outside() != before
        assert main(["nat", "reboot", "translations/nat"]) == 0
        assert pair.outside() == before
    said = capsys.readouterr().out
    assert said == ("nat: 1 inside endpoints get other ports\nnat: rebooted, 1 flows forgotten\n")
    assert main(["nat", "rebind", "translations/server"]) == 1
    assert "E423" in capsys.readouterr().err


@pytest.mark.kernel
def test_what_is_no_nat_is_refused(lab):
    with pytest.raises(LabError) as caught:
        translations.reboot(lab, "a")
    assert "E423" in str(caught.value)
    assert "NATs of translations: nat" in str(caught.value)


@pytest.mark.parametrize(
    "argv", [["192.0.2"], ["192.0.2.1", "--port", "65535"], ["192.0.2.1", "--port", "0"]]
)
def test_a_server_s_arguments(argv, capsys):
    assert main(["nat", "server", *argv]) == 2
    assert "E424" in capsys.readouterr().err


def test_an_address_of_others_cannot_be_served(capsys):
    assert main(["nat", "server", "192.0.2.1"]) == 2
    assert "cannot listen at 192.0.2.1 port 3478 and 3479" in capsys.readouterr().err


def test_each_state_of_tcp_has_its_timeout(tmp_path):
    file = tmp_path / "lab.yaml"
    file.write_text(LAB % ", nat: {timeouts: {tcp-transitory: 50, tcp-syn-sent: 5, tcp-close: 1}}")
    prefix = "net.netfilter.nf_conntrack_tcp_timeout_"
    found = {
        o.key.removeprefix(prefix): o.value
        for o in build(load(file)).operations
        if isinstance(o, SetSysctl) and o.key.startswith(prefix)
    }
    assert found == {
        "established": "7440", "syn_sent": "5", "syn_recv": "50", "fin_wait": "50",
        "close_wait": "50", "last_ack": "50", "time_wait": "50", "close": "1",
    }  # fmt: skip
