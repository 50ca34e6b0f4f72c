"""Changes to a lab that runs."""

from __future__ import annotations

import json
import resource
import socket
import threading

import pytest

from netlab.cli import main
from netlab.errors import InputError, LabError
from netlab.lab import reconfigure, record
from netlab.lab.lab import Lab
from netlab.topology.model import Box

pytestmark = pytest.mark.kernel

FILE = """\
nodes:
  client: {}
  nat:
    kind: nat
    outside: wan
    nat: {mapping: endpoint-independent}
  server: {}
links:
  - [client:eth0, nat:lan]
  - {ends: [nat:wan, server:eth0], delay: 0s}
"""


@pytest.fixture
def lab(netlab_state, tmp_path):
    file = tmp_path / "adjust.yaml"
    file.write_text(FILE)
    with Lab(file) as running:
        yield running


def pings(lab):
    return lab["client"].run(["ping", "-c1", "-W1", "server"]).returncode == 0


def strangers_come_in(lab):
    """Whether a datagram from a port that was never sent to reaches the client."""
    server = lab["server"].address
    with (
        lab["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        lab["server"].socket(socket.AF_INET, socket.SOCK_DGRAM) as known,
        lab["server"].socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        for each in (client, known):
            each.settimeout(5)
        known.bind((server, 0))
        client.sendto(b"hello", known.getsockname())
        outside = known.recvfrom(9)[1]
        stranger.sendto(b"stranger", outside)
        known.sendto(b"known", outside)
        return client.recv(9) == b"stranger"


def test_a_setting_counts_at_once_and_the_next_adds_to_it(lab):
    assert not strangers_come_in(lab)
    done = reconfigure.change(lab, {"nat.nat.filtering": "endpoint-independent"})
    assert done == ["nat: new rules"]
    assert strangers_come_in(lab)
    done = reconfigure.change(Lab.attach(lab.name), {"nat.nat.timeouts.icmp": "7"})
    assert done == ["nat: net.netfilter.nf_conntrack_icmp_timeout = 7"]
    assert strangers_come_in(lab)
    assert reconfigure.change(Lab.attach(lab.name), {"nat.nat.timeouts.icmp": "7"}) == []


def test_boxes_are_exchanged_in_a_node_and_in_a_wire(lab):
    reconfigure.put_boxes(lab, "nat", [Box("block", (("ports", (7,)),))])
    rules = lab["nat"].run(["nft", "list", "ruleset"], check=True).stdout
    assert "dport 7 " in rules
    assert pings(lab)
    reconfigure.put_boxes(lab, "nat:wan", [Box("impair", (("loss", "100%"),))])
    assert not pings(lab)
    reconfigure.put_boxes(lab, "nat:wan", [])
    reconfigure.put_boxes(lab, "nat", [])
    assert pings(lab)
    assert "dport 7 " not in lab["nat"].run(["nft", "list", "ruleset"], check=True).stdout
    with pytest.raises(LabError, match="E416"):
        reconfigure.put_boxes(lab, "client:eth0", [])


def test_a_firewall_can_come_and_go(lab):
    assert pings(lab)
    reconfigure.change(lab, {"nat.firewall.forward": "drop"})
    assert not pings(lab)
    reconfigure.change(Lab.attach(lab.name), {"nat.firewall.forward": "accept"})
    assert pings(lab)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"nat.nat.filtering": "strict"}, "E204"),
        ({"nat.nat.ports": "overload", "nat.nat.mapping": "address-and-port-dependent"}, "E265"),
        ({"nta.nat.ports": "random"}, "E211"),
        ({"nat": "random"}, "E211"),
        ({"nat.outside": "[lan]"}, "E211"),
    ],
)
def test_a_setting_that_the_file_could_not_have_changes_nothing(lab, settings, said):
    before = lab["nat"].run(["nft", "list", "ruleset"]).stdout
    with pytest.raises(InputError, match=said):
        reconfigure.change(lab, settings)
    assert lab["nat"].run(["nft", "list", "ruleset"]).stdout == before


def test_what_needs_a_new_lab_is_refused(lab):
    with pytest.raises(LabError, match="more than rules and settings"):
        reconfigure.change(lab, {"client.mtu": "1400"})


@pytest.mark.parametrize("end", [("client", "eth0"), ("nat", "lan"), ("server", "eth0")])
def test_a_link_goes_down_and_comes_back_whole(lab, end):
    routes = lab[end[0]].run(["ip", "route"]).stdout
    assert pings(lab)
    reconfigure.switch(lab, *end, up=False)
    assert not pings(lab)
    reconfigure.switch(lab, *end, up=True)
    assert lab[end[0]].run(["ip", "route"]).stdout.replace("linkdown ", "") == routes
    assert pings(lab)


def test_a_wire_changes_what_it_does(lab):
    assert pings(lab)
    state = reconfigure.impair(lab, "nat", "wan", {"loss": "100%"})
    assert state["boxes"][0]["parameters"]["loss"] == "100%"
    assert not pings(lab)
    state = reconfigure.impair(lab, "nat", "wan", {"inbound.loss": "0", "outbound.delay": "1ms"})
    assert [box["parameters"]["direction"] for box in state["boxes"]] == ["outbound", "inbound"]
    assert not pings(lab)
    reconfigure.impair(lab, "server", "eth0", {"loss": "0", "delay": "0"})
    assert pings(lab)
    state = reconfigure.wire_state(lab, "nat~server")
    assert state["received"] > state["sent"] > 0
    assert (state["missed"], state["unsent"]) == (0, 0)


def test_only_a_link_with_a_wire_can_be_impaired(lab):
    with pytest.raises(LabError, match="delay: 0s"):
        reconfigure.impair(lab, "client", "eth0", {"delay": "1s"})
    with pytest.raises(LabError, match="has no interface 'eth7'"):
        reconfigure.switch(lab, "client", "eth7", up=False)
    with pytest.raises(InputError, match="a direction is outbound or inbound, not 'up'"):
        reconfigure.impair(lab, "nat", "wan", {"up.delay": "1s"})
    with pytest.raises(InputError, match="'soon' is not a duration"):
        reconfigure.impair(lab, "nat", "wan", {"delay": "soon"})


def test_the_commands(lab, capsys):
    assert main(["set", f"{lab.name}/nat.nat", "filtering=endpoint-independent"]) == 0
    assert capsys.readouterr().out == "nat: new rules\n"
    assert main(["link", f"{lab.name}/client:eth0", "down"]) == 0
    assert not pings(lab)
    assert main(["link", f"{lab.name}/client:eth0", "up"]) == 0
    assert pings(lab)
    assert main(["link", f"{lab.name}/nat:wan", "delay=1ms"]) == 0
    assert "\n  delay 1ms, seed 0\n  2 frames came, 2 went on\n" in capsys.readouterr().out
    assert main(["link", f"{lab.name}/nat:wan", "--json"]) == 0
    assert '"delay": "1ms"' in capsys.readouterr().out
    assert main(["link", f"{lab.name}/nat:wan", "delay"]) == 2
    assert main(["link", f"{lab.name}/nat", "up"]) == 2


def test_changes_at_the_same_time_all_count(lab):
    keys = ["icmp", "udp", "other"]
    failed = []

    def change(key, value):
        try:
            reconfigure.change(Lab.attach(lab.name), {f"nat.nat.timeouts.{key}": value})
        except LabError as error:
            failed.append(error)

    for value in range(130, 134):
        threads = [threading.Thread(target=change, args=(key, str(value))) for key in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        kept = json.loads(lab.running.document("plan.json"))["settings"]
        assert kept == {f"nat.nat.timeouts.{key}": str(value) for key in keys}


def rules(lab):
    return lab["nat"].run(["nft", "list", "ruleset"], check=True).stdout


def test_a_full_disk_changes_nothing(lab):
    before, plan = rules(lab), lab.running.document("plan.json")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(LabError, match=r"E408.*cannot write"):
            reconfigure.change(lab, {"nat.nat.filtering": "endpoint-independent"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (rules(lab), lab.running.document("plan.json")) == (before, plan)
    assert reconfigure.change(lab, {"nat.nat.filtering": "endpoint-independent"})


def test_what_fails_in_the_middle_is_undone(lab, monkeypatch):
    before = rules(lab)
    timeout = "/proc/sys/net/netfilter/nf_conntrack_icmp_timeout"
    settings = {"nat.nat.filtering": "endpoint-independent", "nat.nat.timeouts.icmp": "7"}
    seconds = lab["nat"].run(["cat", timeout]).stdout

    def fail(*_):
        assert lab["nat"].run(["cat", timeout]).stdout == "7\n"
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(record, "commit", fail)
        with pytest.raises(OSError, match="Input/output error"):
            reconfigure.change(lab, settings)
    assert rules(lab) == before
    assert lab["nat"].run(["cat", timeout]).stdout == seconds
    assert len(reconfigure.change(lab, settings)) == 2


def test_a_change_whose_process_was_killed_is_undone_by_the_next(lab, monkeypatch):
    """What a SIGKILL between the kernel's part and the commit leaves, left here by hand."""
    before = rules(lab)
    with monkeypatch.context() as patch:
        patch.setattr(record, "commit", lambda *_: None)
        reconfigure.change(lab, {"nat.nat.filtering": "endpoint-independent"})
    assert rules(lab) != before
    assert reconfigure.change(lab, {"nat.nat.timeouts.icmp": "7"})
    assert rules(lab) == before
