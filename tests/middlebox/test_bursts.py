"""Loss in bursts, turned bits, and known kinds of links."""

from dataclasses import replace

import pytest

from netlab.cli import main
from netlab.errors import InputError
from netlab.middlebox.box import After, Drop
from netlab.middlebox.boxes.link import Impairment, Link
from netlab.middlebox.catalogue import CATALOGUE
from netlab.middlebox.packet import Packet
from netlab.topology import link_presets, loads
from netlab.wire import ipv4, udp
from netlab.wire.address import packed

A, B = packed("10.0.0.1"), packed("10.0.0.2")
UDP = udp.encode(udp.Header(4000, 5000), b"hello, world", A, B)
PACKET = Packet(ipv4.encode(ipv4.Header(A, B, protocol=17), UDP))


def fates(impairment, count, seed=0):
    """Each packet's octets, or ``None`` for one that was lost."""
    link = Link(impairment, Impairment(), seed)
    found = []
    for number in range(count):
        [verdict] = link.packet(PACKET, "outbound", float(number))
        if isinstance(verdict, After):
            verdict = verdict.packet
        assert isinstance(verdict, Packet | Drop)
        found.append(None if isinstance(verdict, Drop) else verdict.octets)
    return found


def runs(lost):
    """How long each sequence of losses is."""
    found, length = [], 0
    for each in [*lost, False]:
        if each:
            length += 1
        elif length:
            found.append(length)
            length = 0
    return found


def test_bursts_are_as_long_and_as_frequent_as_declared():
    # Gilbert 1960: the share of bad packets is p / (p + r), the mean length of a burst 1 / r.
    lost = [each is None for each in fates(Impairment(burst_begin=0.02, burst_end=0.25), 40_000)]
    assert sum(lost) / len(lost) == pytest.approx(0.02 / 0.27, rel=0.1)
    assert sum(runs(lost)) / len(runs(lost)) == pytest.approx(4, rel=0.1)


def test_a_burst_may_let_some_through():
    # Elliott 1963: in a burst half are lost, outside of it one in a hundred.
    made = Impairment(burst_begin=0.1, burst_end=0.1, burst_loss=0.5, loss=0.01)
    lost = [each is None for each in fates(made, 40_000)]
    assert sum(lost) / len(lost) == pytest.approx((0.5 + 0.01) / 2, rel=0.1)


def test_the_same_seed_loses_the_same_packets():
    made = Impairment(burst_begin=0.1, burst_end=0.3, corrupt=0.2, jitter=0.1)
    assert fates(made, 500, seed=7) == fates(made, 500, seed=7)
    assert fates(made, 500, seed=7) != fates(made, 500, seed=8)
    # Whether one is lost does not depend on what else the link does.
    plain = fates(replace(made, corrupt=0.0), 500, seed=7)
    assert [e is None for e in plain] == [e is None for e in fates(made, 500, seed=7)]


def test_one_bit_is_turned_behind_the_ip_header():
    for octets in fates(Impairment(corrupt=1.0), 300):
        turned = [a ^ b for a, b in zip(PACKET.octets, octets, strict=True)]
        assert not any(turned[:20])
        assert sum(each.bit_count() for each in turned) == 1
    assert len({*fates(Impairment(corrupt=1.0), 300)}) > 100


LINK = "nodes: {a: , b: }\nlinks:\n  - {ends: [a:eth0, b:eth0], %s}\n"


@pytest.mark.parametrize("name", link_presets.names())
def test_a_preset_says_what_it_is_where_it_is_from_and_can_be_built(name, capsys):
    preset = link_presets.load(name)
    assert preset.summary
    assert preset.sources
    [link] = loads(LINK % f"preset: {name}").links
    assert [dict(box.parameters)["direction"] for box in link.middleboxes] == [
        "outbound", "inbound",
    ]  # fmt: skip
    for box in link.middleboxes:
        assert not list(CATALOGUE["impair"].problems(dict(box.parameters)))
        assert isinstance(CATALOGUE["impair"].make_box(dict(box.parameters)), Link)
    assert main(["preset", name]) == 0
    assert capsys.readouterr().out == preset.text


def test_what_the_file_says_wins_over_the_preset():
    text = LINK % "preset: dsl, seed: 7, rate: 2mbit, inbound: {delay: 1s}"
    out, back = (dict(box.parameters) for box in loads(text).links[0].middleboxes)
    assert (out["rate"], out["queue"], out["seed"]) == ("2mbit", "500ms", 7)
    assert (back["rate"], back["delay"], back["queue"]) == ("2mbit", "1s", "100ms")


def test_an_unknown_preset_is_refused_at_its_place():
    with pytest.raises(InputError) as caught:
        loads(LINK % "preset: 5g", "lab.yaml")
    assert "lab.yaml:3:38: error[E275]" in str(caught.value)


@pytest.mark.kernel
def test_a_satellite_takes_half_a_second(tmp_path):
    from netlab.lab.lab import Lab

    file = tmp_path / "lab.yaml"
    file.write_text(LINK % "preset: satellite, loss: 0%")
    with Lab(file) as lab:
        said = lab["a"].run(["ping", "-c1", "-W5", "b"], check=True).stdout
    assert float(said.split("time=")[1].split()[0]) >= 540
