"""What the page decides without a browser or a lab: roles, forms, samples, lessons, tables."""

from types import SimpleNamespace
from typing import Any

import pytest

from netlab.scenario import bundled
from netlab.scenario.read import read
from netlab.serve import commands, lesson, page, tables
from netlab.serve.roles import Tokens, is_same_origin
from netlab.serve.sampling import Sampler

NODES = ("client", "nat", "server")


# -- roles


TOKENS = Tokens("teachers-secret", "viewers-secret")


@pytest.mark.parametrize(
    ("query", "headers", "cookie", "role"),
    [
        ({}, {}, "", None),
        ({"token": "teachers-secret"}, {}, "", "teacher"),
        ({"token": "viewers-secret"}, {}, "teachers-secret", "viewer"),
        ({"token": "wrong"}, {}, "teachers-secret", None),
        ({}, {"Authorization": "Bearer viewers-secret"}, "", "viewer"),
        ({}, {"Authorization": "teachers-secret"}, "", None),
        ({}, {}, "teachers-secret", "teacher"),
        ({"token": "é"}, {}, "", None),
    ],
)
def test_a_token_gives_a_role(query, headers, cookie, role):
    assert TOKENS.of_request(query, headers, cookie) == role


def test_another_page_may_not_send_forms():
    host = {"Host": "127.0.0.1:8080"}
    assert is_same_origin(host)
    assert is_same_origin({**host, "Origin": "http://127.0.0.1:8080"})
    assert not is_same_origin({**host, "Origin": "http://127.0.0.1:8081"})
    assert not is_same_origin({**host, "Origin": "null"})


# -- forms


@pytest.mark.parametrize(
    ("form", "typed"),
    [
        (
            {"do": "send", "from": "client", "to": "server", "proto": "tcp", "port": "80",
             "count": "2", "listen": True, "size": ""},
            "netlab explain nat/client server --proto tcp --dport 80 --count 2 --listen",
        ),
        (
            {"do": "send", "from": "client", "to": "2001:db8::1", "proto": "255", "six": True},
            "netlab explain nat/client 2001:db8::1 --proto 255 -6",
        ),
        (
            {"do": "run", "node": "server", "command": "sh -c 'echo hello; ls'"},
            "netlab exec nat/server -- sh -c 'echo hello; ls'",
        ),
        (
            {"do": "set", "path": "nat.nat", "key": "preset", "value": "full-cone"},
            "netlab set nat/nat.nat preset=full-cone",
        ),
        (
            {"do": "link", "end": "client:eth0", "values": "loss=5% delay=50ms"},
            "netlab link nat/client:eth0 loss=5% delay=50ms",
        ),
        ({"do": "pingall"}, "netlab pingall nat"),
    ],
)  # fmt: skip
def test_a_form_is_the_command_that_does_the_same(form, typed):
    assert commands.deed(form, "nat", NODES).typed == typed


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"do": "format"},
        {"do": "send", "from": "client", "to": "--file=/etc/passwd"},
        {"do": "send", "from": "client", "to": "server", "proto": "-1"},
        {"do": "send", "from": "client", "to": "server", "count": "9999999"},
        {"do": "send", "from": "nobody", "to": "server"},
        {"do": "send", "from": ["client"], "to": "server"},
        {"do": "run", "node": "client", "command": "echo 'open"},
        {"do": "run", "node": "client", "command": "  "},
        {"do": "run", "node": "client", "command": "x" * 5000},
        {"do": "set", "path": "../etc", "key": "a", "value": "b"},
        {"do": "set", "path": "nat.nat", "key": "--help", "value": "b"},
        {"do": "link", "end": "client:eth0", "values": "--help"},
        {"do": "link", "end": "client", "values": "down"},
        {"do": "rule", "node": "nat", "hook": "forward", "rule": "accept; flush ruleset"},
        {"do": "rule", "node": "nat", "hook": "prerouting", "rule": "accept"},
    ],
)
def test_what_cannot_be_done_is_refused_in_words(form):
    with pytest.raises(commands.Refused) as refused:
        commands.deed(form, "nat", NODES)
    assert str(refused.value)


def test_rules_and_links_have_a_way_back():
    rule = {"do": "rule", "node": "nat", "hook": "forward", "rule": "udp dport 53 drop"}
    done = commands.deed(rule, "nat", NODES)
    back = commands.undoing_rule(done, "add rule inet classroom forward udp … # handle 7\n")
    assert back
    assert back.typed.endswith("nft 'delete rule inet classroom forward handle 7'")
    down = commands.deed({"do": "link", "end": "client:eth0", "values": "down"}, "nat", NODES)
    up = commands.undoing_switch(down)
    assert up
    assert up.typed == "netlab link nat/client:eth0 up"


# -- samples


def packets(words: str) -> list[Any]:
    """One packet for each word: ``a`` arrived, ``d`` died, ``o`` lives on in others."""
    return [
        SimpleNamespace(arrived=w == "a", disposition=SimpleNamespace(lives_on=w == "o"), number=n)
        for n, w in enumerate(words.split())
    ]


def test_all_are_drawn_while_there_is_room():
    sampler = Sampler(0.0, rate=200, burst=60)
    few = packets("a " * 60)
    assert sampler.choose(few, 0.0) == few
    for tenth in range(1, 11):
        twenty = packets("a " * 20)
        assert sampler.choose(twenty, tenth / 10 + 0.001) == twenty
    assert (sampler.seen, sampler.drawn) == (260, 260)


def test_of_a_flood_an_even_part_is_drawn_and_it_is_counted():
    sampler = Sampler(0.0, rate=200, burst=50)
    for tenth in range(1, 11):
        sampler.choose(packets("a " * 2000), tenth / 10)
    assert sampler.seen == 20_000
    assert 200 <= sampler.drawn <= 250
    chosen: list[Any] = Sampler(0.0, rate=1, burst=4).choose(packets("a " * 100), 0.0)
    assert [one.number for one in chosen] == [0, 25, 50, 75]


def test_deaths_come_before_the_rest():
    chosen: list[Any] = Sampler(0.0, rate=1, burst=4).choose(packets("a a a d a a d a o a"), 0.0)
    assert {3, 6} <= {one.number for one in chosen}
    assert [one.number for one in chosen] == sorted(one.number for one in chosen)


# -- lessons


def test_a_lesson_asks_before_it_answers():
    at = lesson.Lesson(read(bundled.find("one-packet-filter")))
    assert at.to_json()["phase"] == "story"
    at = at.next()
    first = at.to_json()
    assert first["phase"] == "question"
    assert first["answer"] is None
    choice = first["choices"][0]["text"]
    at = at.vote("anna", choice).vote("boris", choice).vote("anna", first["choices"][1]["text"])
    assert at.to_json()["voters"] == 2
    assert [c["votes"] for c in at.to_json()["choices"]][:2] == [1, 1]
    assert at.vote("clara", "none of these") == at
    assert at.next() == at, "the truth must be shown first"
    at = at.begin()
    assert at.vote("dora", choice) == at, "it is too late"
    at = at.show(lesson.Answer(choice, (), ()))
    assert at.to_json()["answer"]["right"] == choice
    assert at.next().to_json()["place"] == 1
    assert at.next().to_json()["voters"] == 0


def test_a_lesson_ends_after_its_last_step():
    scenario = read(bundled.find("hairpinning"))
    at = lesson.Lesson(scenario).next()
    for _ in scenario.steps:
        at = at.begin().show(lesson.Answer("", (), ())).next()
    assert at.phase == "over"
    assert at.next() == at


@pytest.mark.parametrize(("ends", "right"), [("dd", 0), ("d.", 1), ("..", 2)])
def test_the_truth_is_what_the_packets_did(ends, right):
    step = next(s for s in read(bundled.find("missing-gateway")).steps if s.points == 2)
    fates: tuple[Any, ...] = tuple(
        SimpleNamespace(disposition="delivered" if end == "d" else "denied") for end in ends
    )
    assert lesson.answer(step, fates, (), None).right == lesson.ARRIVE[right]


# -- tables


CONNTRACK = """\
ipv4     2 udp      17 29 src=192.168.1.2 dst=198.51.100.2 sport=4000 dport=53 [UNREPLIED] src=198.51.100.2 dst=203.0.113.2 sport=53 dport=4000 mark=0 zone=0 use=2
ipv4     2 tcp      6 431999 ESTABLISHED src=192.168.1.2 dst=198.51.100.2 sport=4001 dport=80 src=198.51.100.2 dst=203.0.113.2 sport=80 dport=4001 [ASSURED] mark=0 use=2
ipv6     10 icmpv6   58 29 src=2001:db8::1 dst=2001:db8::2 type=128 code=0 id=7 src=2001:db8::2 dst=2001:db8::1 type=129 code=0 id=7 mark=0 use=2
broken line
"""  # noqa: E501


def test_lines_of_conntrack_are_read():
    udp, tcp, icmp = tables.entries_of(CONNTRACK)
    assert udp["flow"] == "192.168.1.2:4000 > 198.51.100.2:53"
    assert udp["answers"] == "198.51.100.2:53 > 203.0.113.2:4000"
    assert (udp["state"], udp["left"]) == ("UNREPLIED", "29 s")
    assert tcp["state"] == "ESTABLISHED ASSURED"
    assert icmp["flow"] == "2001:db8::1 > 2001:db8::2 id 7"


def test_maps_of_nft_are_read():
    listed = """{"nftables": [{"metainfo": {}}, {"map": {"name": "mapping_wan", "elem": [
      [{"elem": {"val": {"concat": ["192.168.1.2", 17, 4000]}, "timeout": 300, "expires": 298}},
       {"concat": ["203.0.113.2", 4000]}]]}}]}"""
    [found] = tables.mappings_of(listed)
    assert found["inside"] == "192.168.1.2 17 4000"
    assert (found["outside"], found["left"]) == ("203.0.113.2 4000", "298 s")
    assert list(tables.mappings_of("not JSON")) == []


# -- the page


def test_nothing_of_a_lab_is_ever_html():
    hostile = "<img src=x onerror=alert(1)>&\"'"
    packet = {"id": 1, "label": hostile, "end": {"sentence": hostile}}
    shell = page.Shell(hostile, "teacher", "<svg></svg>", [packet], {"title": hostile}, "")
    html = page.html(shell)
    assert "<img" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") == 5
    assert "<img" not in page.terminal_html(hostile)


def test_the_policy_allows_no_foreign_resource_and_nothing_inline():
    assert "default-src 'none'" in page.POLICY
    assert "unsafe" not in page.POLICY
    assert "http" not in page.POLICY


def test_a_viewers_page_has_no_forms():
    shell = page.Shell("lab", "viewer", "<svg></svg>", [], None)
    assert 'id="forms"' not in page.html(shell)
    assert 'id="terminals"' not in page.html(shell)
