"""Packets through, to and from NATs."""

from typing import Any

from tests.oracle.path import Path
from tests.oracle.sample import Draw, Question, Sample, kind
from tests.oracle.traffic import Traffic, arrival, death, reached, traffic
from tests.oracle.truth import Cause, End
from tests.oracle.witness import Door, counter, error, refusal, rule, steady


def _nat(draw: Draw, form: dict[str, Any] | None = None) -> tuple[Path, str]:
    """A way with a NAT in it, its inside at the sender's end."""
    path = draw.path(shortest=2, families=(4,))
    nat = draw.rng.choice(path.routers)
    outside = path.after(nat).left_if
    plain = {"kind": "nat", "outside": outside}
    path.forms[nat] = {"kind": "nat", "outside": outside, "nat": form} if form else plain
    return path, nat


PRESETS = ("carrier-grade", "full-cone", "home-router", "restricted-cone", "rfc4787", "symmetric")


@kind("through a NAT")
def through(draw: Draw) -> Sample:
    path, _ = _nat(draw)
    first = arrival(path, traffic(draw, path, family=4))
    then = arrival(path, traffic(draw, path, family=4, protocol="icmp"))
    return Sample(path, [first, then])


@kind("through a NAT with a preset")
def preset(draw: Draw) -> Sample:
    path, _ = _nat(draw, {"preset": draw.rng.choice(PRESETS)})
    protocol = draw.rng.choice(("udp", "tcp", "icmp"))
    sent = traffic(draw, path, family=4, protocol=protocol)
    return Sample(path, [arrival(path, sent)])


@kind("through two NATs")
def two(draw: Draw) -> Sample:
    path = draw.path(length=draw.rng.choice((3, 4)), families=(4,))
    for nat in draw.rng.sample(path.routers, 2):
        path.forms[nat] = {"kind": "nat", "outside": path.after(nat).left_if}
    protocol = draw.rng.choice(("udp", "tcp", "icmp", "253"))
    return Sample(path, [arrival(path, traffic(draw, path, family=4, protocol=protocol))])


@kind("closed port behind a NAT")
def closed(draw: Draw) -> Sample:
    path, _ = _nat(draw)
    protocol = draw.rng.choice(("udp", "tcp"))
    sent = traffic(draw, path, family=4, protocol=protocol, listen=False)
    sent.doors.clear()
    name = {"udp": "Udp.NoPorts", "tcp": "Tcp.OutRsts"}[protocol]
    witnesses = [counter(path.receiver, name)]
    if protocol == "udp":
        witnesses.append(error(3, 3, path.target(4)))
    return Sample(path, [death(sent, End(path.receiver, Cause.CLOSED), witnesses)])


def _turned(path: Path) -> Path:
    """The same way from its other end: no function of the way knows which end sends."""
    path.nodes.reverse()
    path.segments.reverse()
    for segment in path.segments:
        segment.left, segment.right = segment.right, segment.left
        segment.left_if, segment.right_if = segment.right_if, segment.left_if
    return path


@kind("unsolicited at a NAT")
def unsolicited(draw: Draw) -> Sample:
    path, nat = _nat(draw)
    address = path.after(nat).address(nat, 4)
    _turned(path)
    protocol = draw.rng.choice(("udp", "tcp", "icmp", "253"))
    sent = traffic(draw, path, family=4, protocol=protocol, target=address, listen=False)
    sent.doors.clear()
    witnesses = [rule(nat, "unsolicited"), *reached(path, nat)]
    return Sample(path, [death(sent, End(nat, Cause.RULE, "unsolicited"), witnesses)])


@kind("private address from outside")
def private(draw: Draw) -> Sample:
    """Outside no router has a route to what lies inside."""
    path, nat = _nat(draw)
    _turned(path)
    sent = traffic(draw, path, family=4, listen=False)
    sent.doors.clear()
    at = path.nodes.index(nat)
    if at == 1:
        # The sender is the NAT's neighbour, and has no router to ask.
        witnesses = [
            refusal(path.sender, sent.flow.target, "ENETUNREACH"),
            steady(path.sender, f"tx {path.segments[0].left_if}"),
        ]
        return Sample(path, [death(sent, End(path.sender, Cause.NO_ROUTE), witnesses)])
    router = path.nodes[1]
    source = path.before(router).address(router, 4)
    witnesses = [error(3, 0, source), *reached(path, router)]
    return Sample(path, [death(sent, End(router, Cause.NO_ROUTE), witnesses)])


def _forwarded(draw: Draw) -> tuple[Path, str, Traffic, int]:
    """From outside to a port that the NAT forwards to a host inside."""
    outer, inner = draw.rng.sample(range(1000, 30000), 2)
    protocol = draw.rng.choice(("udp", "tcp"))
    path, nat = _nat(draw)
    host = path.sender
    address = path.after(nat).address(nat, 4)
    path.forms[nat] = {
        "kind": "nat",
        "nat": {
            "masquerade": path.after(nat).left_if,
            "static": [{"forward": f"{protocol}/{outer}", "to": f"{host}:{inner}"}],
        },
    }
    _turned(path)
    sent = traffic(
        draw, path, family=4, protocol=protocol, target=address, port=outer, listen=False
    )
    return path, nat, sent, inner


@kind("forwarded port")
def forwarded(draw: Draw) -> Sample:
    path, _, sent, inner = _forwarded(draw)
    sent.doors[:] = [Door(path.receiver, sent.flow.protocol, 4, inner)]
    return Sample(path, [arrival(path, sent)])


@kind("forwarded to a closed port")
def forwarded_closed(draw: Draw) -> Sample:
    path, _, sent, _ = _forwarded(draw)
    sent.doors.clear()
    name = {"udp": "Udp.NoPorts", "tcp": "Tcp.OutRsts"}[sent.flow.protocol]
    witnesses = [counter(path.receiver, name)]
    return Sample(path, [death(sent, End(path.receiver, Cause.CLOSED), witnesses)])


@kind("forwarded, another port")
def forwarded_other(draw: Draw) -> Sample:
    path, nat, sent, _ = _forwarded(draw)
    sent = sent._replace(flow=sent.flow._replace(port=sent.flow.port + 1))
    sent.doors.clear()
    witnesses = [rule(nat, "unsolicited"), *reached(path, nat)]
    return Sample(path, [death(sent, End(nat, Cause.RULE, "unsolicited"), witnesses)])


@kind("hairpin", copies=False)
def hairpin(draw: Draw) -> Sample:
    """Two hosts inside meet at the outside address (RFC 4787 REQ-9)."""
    rng = draw.rng
    outer, inner = rng.sample(range(1000, 30000), 2)
    protocol = rng.choice(("udp", "tcp"))
    path = Path(["a", "r1", "b"], families=(4,))
    forward = {"forward": f"{protocol}/{outer}", "to": f"web:{inner}"}
    nat = {"masquerade": "wan", "hairpinning": True, "static": [forward]}
    path.forms = {
        "a": {},
        "web": {},
        "r1": {"kind": "nat", "nat": nat},
        "b": {},
    }
    path.links = [
        {"ends": ["r1:lan", "a:eth0"], "subnet": "192.168.1.0/24"},
        {"ends": ["r1:dmz", "web:eth0"], "subnet": "192.168.2.0/24"},
        {
            "ends": ["r1:wan", "b:eth0"],
            "subnet": "203.0.113.0/24",
            "addresses": {"r1": "203.0.113.9", "b": "203.0.113.1"},
        },
    ]
    sent = traffic(
        draw,
        path,
        family=4,
        protocol=protocol,
        target="203.0.113.9",
        port=outer,
        receiver="web",
        listen=False,
    )
    sent.doors[:] = [Door("web", protocol, 4, inner)]
    return Sample(path, [arrival(path, sent, receiver="web")])


@kind("the NAT's mapping is taken")
def clash(draw: Draw) -> Sample:
    """Of a protocol without ports a NAT can keep one inside host apart, not two (docs/nat.md)."""
    path, nat = _nat(draw)
    path.forms["other"] = {}
    path.links.append(
        {
            "ends": ["other:eth0", f"{nat}:more"],
            "subnet": "10.66.0.0/24",
            "addresses": {"other": "10.66.0.2", nat: "10.66.0.1"},
        }
    )
    protocol = draw.rng.choice(("99", "143", "253", "254"))
    sent = traffic(draw, path, family=4, protocol=protocol, listen=False)
    first = arrival(path, sent._replace(flow=sent.flow._replace(source="other")))
    second = death(sent, End(nat, Cause.NAT_CLASH), reached(path, nat))
    second.predictable = False
    return Sample(path, [first, second])


@kind("all ports of a NAT are taken")
def ports(draw: Draw) -> Sample:
    path, nat = _nat(draw, {"port-range": "4000-4001", "mapping": "endpoint-independent"})
    sent = traffic(draw, path, family=4, protocol="udp", listen=False, port=5000)
    return Sample(path, [*_filled(path, nat, sent, Cause.RULE)])


def _filled(path: Path, nat: str, sent: Traffic, cause: Cause) -> list[Question]:
    """Three flows from three ports: the NAT has room for two."""
    taken = [arrival(path, sent) for _ in range(2)]
    last = death(sent, End(nat, cause), reached(path, nat))
    last.predictable = False
    return [*taken, last]


@kind("too many sessions of a subscriber")
def sessions(draw: Draw) -> Sample:
    path, nat = _nat(draw, {"sessions-per-subscriber": 2})
    sent = traffic(draw, path, family=4, protocol="udp", listen=False, port=5000)
    return Sample(path, [*_filled(path, nat, sent, Cause.RULE)])


@kind("NAT drops unknown protocols")
def unknown(draw: Draw) -> Sample:
    path, nat = _nat(draw, {"unknown-protocols": "drop"})
    protocol = draw.rng.choice(("99", "143", "253", "254"))
    sent = traffic(draw, path, family=4, protocol=protocol, listen=False)
    return Sample(path, [death(sent, End(nat, Cause.RULE), reached(path, nat))])


@kind("NAT64")
def nat64(draw: Draw) -> Sample:
    path, sent = _nat64(draw)
    question = arrival(path, sent._replace(family=4), twice=path.copies)
    if sent.flow.protocol == "icmp":
        question.witnesses = [
            counter(path.receiver, "Icmp.InEchos"),
            counter(path.sender, "Icmp6InEchoReplies"),
        ]
    return Sample(path, [question])


def _nat64(draw: Draw) -> tuple[Path, Traffic]:
    path = draw.path(shortest=2)
    nat = draw.rng.choice(path.routers)
    at = path.nodes.index(nat)
    for segment in path.segments:
        family = 6 if segment.number < at else 4
        for link in _of(path, segment.number):
            _one_family(link, family)
        switch = path.forms.get(f"s{segment.number}x")
        if switch:
            _one_family(switch, family)
    path.forms[nat] = {
        "kind": "nat",
        "outside": path.after(nat).left_if,
        "nat": {"nat64": "64:ff9b::/96"},
    }
    protocol = draw.rng.choice(("udp", "tcp", "icmp"))
    target = f"64:ff9b::{path.target(4)}"
    sent = traffic(draw, path, family=6, protocol=protocol, target=target, listen=False)
    sent.doors[:] = [door._replace(family=4) for door in sent.doors]
    return path, sent


def _of(path: Path, number: int) -> list[dict[str, Any]]:
    own = path.links[number]
    return [
        link
        for link in path.links
        if link is own
        or any(end.partition(":")[0].startswith(f"s{number}") for end in link["ends"])
    ]


def _one_family(form: dict[str, Any], family: int) -> None:
    """Leave a link or LAN the addresses of one family."""
    wanted = ":" if family == 6 else "."
    if "subnet" in form:
        form["subnet"] = [subnet for subnet in form["subnet"] if wanted in subnet]
    for node, addresses in form.get("addresses", {}).items():
        form["addresses"][node] = [address for address in addresses if wanted in address]


@kind("closed port behind NAT64")
def nat64_closed(draw: Draw) -> Sample:
    path, sent = _nat64(draw)
    protocol = draw.rng.choice(("udp", "tcp"))
    port = draw.rng.randrange(1000, 30000)
    size = 0 if protocol == "tcp" else sent.flow.size
    flow = sent.flow._replace(protocol=protocol, port=port, size=size)
    sent = sent._replace(flow=flow)
    sent.doors.clear()
    name = {"udp": "Udp.NoPorts", "tcp": "Tcp.OutRsts"}[protocol]
    witnesses = [counter(path.receiver, name)]
    return Sample(path, [death(sent, End(path.receiver, Cause.CLOSED), witnesses)])


@kind("NPTv6")
def nptv6(draw: Draw) -> Sample:
    path = draw.path(shortest=2, families=(6,))
    nat = draw.rng.choice(path.routers)
    at = path.nodes.index(nat)
    for segment in path.segments:
        for link in _of(path, segment.number):
            _renumber(link, inside=segment.number < at)
        switch = path.forms.get(f"s{segment.number}x")
        if switch:
            _renumber(switch, inside=segment.number < at)
    outside = path.after(nat).left_if
    path.forms[nat] = {
        "kind": "nat",
        "outside": outside,
        "nat": {"nptv6": {"inside": "fd00:a::/48", "outside": "2001:db8:a::/48"}},
    }
    last = path.segments[-1]
    target = f"2001:db8:b:{last.number + 1:x}::{last.hosts[path.receiver]:x}"
    protocol = draw.rng.choice(("udp", "tcp", "icmp"))
    sent = traffic(draw, path, family=6, protocol=protocol, target=target)
    return Sample(path, [arrival(path, sent)])


def _renumber(form: dict[str, Any], *, inside: bool) -> None:
    """From ``fd00:N::`` to the inside prefix, or to one that is not translated."""
    prefix = "fd00:a:0" if inside else "2001:db8:b"

    def changed(text: str) -> str:
        number, rest = text.removeprefix("fd00:").split("::", 1)
        return f"{prefix}:{number}::{rest}"

    if "subnet" in form:
        form["subnet"] = [changed(subnet) for subnet in form["subnet"]]
    for node, addresses in form.get("addresses", {}).items():
        form["addresses"][node] = [changed(address) for address in addresses]
