"""Packets that end at a router, or between two."""

from netlab.lab.lab import Lab
from tests.oracle.kinds_arriving import narrow
from tests.oracle.kinds_sender import ROUTES, add_route, link_down, words
from tests.oracle.sample import Draw, Sample, kind
from tests.oracle.traffic import arrival, death, name4, reached, traffic
from tests.oracle.truth import Cause, End, Truth
from tests.oracle.witness import counter, error, neighbour, rule, steady


@kind("forward rule")
def forward_rule(draw: Draw) -> Sample:
    path = draw.path(shortest=2)
    sent = traffic(draw, path, listen=False)
    router = draw.rng.choice(path.routers)
    text = f"drop {words(sent.flow.protocol, sent.flow.port)}"
    where = draw.rng.choice(
        ("", f" from {path.before(router).right_if}", f" to {path.after(router).left_if}")
    )
    path.forms[router]["firewall"] = {"rules": ["accept tcp/1", text + where]}
    end = End(router, Cause.RULE, text + where)
    first = death(sent, end, [rule(router, text), *reached(path, router)])
    passing = "icmp" if sent.flow.protocol != "icmp" else "253"
    then = arrival(path, traffic(draw, path, protocol=passing, family=sent.family))
    return Sample(path, [first, then])


@kind("forward policy")
def forward_policy(draw: Draw) -> Sample:
    path = draw.path(shortest=2)
    sent = traffic(draw, path, protocol=draw.rng.choice(("udp", "tcp", "253")), listen=False)
    router = draw.rng.choice(path.routers)
    path.forms[router]["firewall"] = {
        "forward": "drop",
        "rules": ["accept established", "accept icmp"],
    }
    end = End(router, Cause.RULE, "policy")
    witnesses = [rule(router, "forward policy drop"), *reached(path, router)]
    then = arrival(path, traffic(draw, path, protocol="icmp", family=sent.family))
    return Sample(path, [death(sent, end, witnesses), then])


@kind("rejected at a router")
def rejected(draw: Draw) -> Sample:
    path = draw.path(shortest=2)
    sent = traffic(draw, path, protocol=draw.rng.choice(("udp", "tcp", "icmp")), listen=False)
    router = draw.rng.choice(path.routers)
    text = f"reject {words(sent.flow.protocol, sent.flow.port)}"
    path.forms[router]["firewall"] = {"rules": [text]}
    witnesses = [rule(router, text), *reached(path, router)]
    if sent.flow.protocol != "tcp":
        source = path.before(router).address(router, sent.family)
        witnesses.append(error(*((3, 3) if sent.family == 4 else (1, 4)), source))
    return Sample(path, [death(sent, End(router, Cause.RULE, text), witnesses)])


RAW = {
    "prerouting": "type filter hook prerouting priority -150; policy accept;",
    "raw prerouting": "type filter hook prerouting priority -400; policy accept;",
    "forward": "type filter hook forward priority 20; policy accept;",
    "postrouting": "type filter hook postrouting priority 20; policy accept;",
}


@kind("raw rule at a router")
def raw_rule(draw: Draw) -> Sample:
    path = draw.path(shortest=2)
    sent = traffic(draw, path, listen=False)
    router = draw.rng.choice(path.routers)
    hook, head = draw.rng.choice(list(RAW.items()))
    match = {
        "icmp": "meta l4proto { icmp, ipv6-icmp }",
        "tcp": f"tcp dport {sent.flow.port}",
        "udp": f"udp dport {sent.flow.port}",
    }.get(sent.flow.protocol, f"meta l4proto {sent.flow.protocol}")
    chain = draw.rng.choice(("early", "late", "mangle"))
    where = draw.rng.choice(("", f'iifname "{path.before(router).right_if}" '))
    if hook == "postrouting":
        where = draw.rng.choice(("", f'oifname "{path.after(router).left_if}" '))
    if where == "" and sent.flow.protocol == "icmp":
        where = "" if hook == "postrouting" else f'iifname "{path.before(router).right_if}" '
    comment = draw.rng.choice(("eats it", "no way", "maintenance", "policy 17"))
    path.forms[router]["nftables"] = (
        f"table inet own {{\n  chain {chain} {{\n    {head}\n"
        f'    {where}{match} counter drop comment "{comment}"\n  }}\n}}\n'
    )
    witnesses = [rule(router, comment), *reached(path, router)]
    return Sample(path, [death(sent, End(router, Cause.RULE, comment), witnesses)])


@kind("rule at a switch")
def bridge_rule(draw: Draw) -> Sample:
    """A filter of Ethernet frames, in the family bridge."""
    path = draw.path()
    segment = draw.rng.choice(path.segments)
    switch = _switch(path, segment)
    sent = traffic(draw, path, protocol=draw.rng.choice(("udp", "tcp", "253")), listen=False)
    match = {
        "tcp": f"tcp dport {sent.flow.port}",
        "udp": f"udp dport {sent.flow.port}",
    }.get(sent.flow.protocol, "")
    if not match:
        nexthdr = f"ip6 nexthdr {sent.flow.protocol}"
        match = f"ip protocol {sent.flow.protocol}" if sent.family == 4 else nexthdr
    path.forms[switch]["nftables"] = (
        "table bridge own {\n  chain passing {\n"
        "    type filter hook forward priority 0; policy accept;\n"
        f'    {match} counter drop comment "not here"\n  }}\n}}\n'
    )
    return Sample(path, [death(sent, End(switch, Cause.RULE), [rule(switch, "not here")])])


def _switch(path, segment) -> str:
    """The switch of a segment; a plain wire gets one."""
    name = f"s{segment.number}x"
    if name not in path.forms:
        link = path.link(segment)
        for key in ("delay", "middleboxes"):
            link.pop(key, None)
        path.forms[name] = {"kind": "bridge", "subnet": link.pop("subnet")}
        ends, addresses = link["ends"], link["addresses"]
        link |= {"ends": [ends[0], name], "addresses": {segment.left: addresses[segment.left]}}
        path.links.append(
            {"ends": [ends[1], name], "addresses": {segment.right: addresses[segment.right]}}
        )
    return name


@kind("TTL expires")
def ttl(draw: Draw) -> Sample:
    path = draw.path(shortest=2)
    sent = traffic(draw, path, listen=False)
    router = draw.rng.choice(path.routers)
    hops = path.nodes.index(router)
    path.forms[path.sender]["sysctls"] = {
        "net.ipv4.ip_default_ttl": hops,
        "net.ipv6.conf.all.hop_limit": hops,
        "net.ipv6.conf.default.hop_limit": hops,
    }
    source = path.before(router).address(router, sent.family)
    witnesses = [
        error(*((11, 0) if sent.family == 4 else (3, 0)), source),
        counter(router, name4(sent.family, "Ip.InHdrErrors", "Ip6InHdrErrors")),
        *reached(path, router),
    ]
    return Sample(path, [death(sent, End(router, Cause.TTL), witnesses)])


@kind("no route at a router")
def no_route(draw: Draw) -> Sample:
    path = draw.path(shortest=2)
    family = draw.family()
    router = path.routers[-1]
    target = {4: "192.0.2.7", 6: "2001:db8:99::7"}[family]
    subnet = {4: "192.0.2.0/24", 6: "2001:db8:99::/64"}[family]
    for node, segment in zip(path.routers[:-1], path.segments[1:], strict=False):
        via = segment.address(segment.right, family)
        path.forms[node]["routes"] = [{"to": subnet, "via": via}]
    sent = traffic(draw, path, family=family, target=target, listen=False)
    sent.doors.clear()
    source = path.before(router).address(router, family)
    witnesses = [
        error(*((3, 0) if family == 4 else (1, 0)), source),
        counter(router, name4(family, "IpExt.InNoRoutes", "Ip6InNoRoutes")),
        *reached(path, router),
    ]
    return Sample(path, [death(sent, End(router, Cause.NO_ROUTE), witnesses)])


@kind("refusing route at a router")
def refusing(draw: Draw) -> Sample:
    path = draw.path(shortest=3)
    sent = traffic(draw, path, listen=False)
    router = draw.rng.choice(path.routers[:-1])
    word, (cause, _) = draw.rng.choice(list(ROUTES.items()))
    errors = {
        ("unreachable", 4): (3, 1),
        ("prohibit", 4): (3, 13),
        ("unreachable", 6): (1, 0),
        ("prohibit", 6): (1, 1),
    }
    witnesses = reached(path, router)
    if (word, sent.family) in errors:
        witnesses.append(error(*errors[word, sent.family]))
    question = death(sent, End(router, cause), witnesses)
    question.predictable = False
    host = f"{path.target(sent.family)}/{32 if sent.family == 4 else 128}"

    def add(lab: Lab) -> None:
        add_route(lab, router, sent.family, word, host)

    return Sample(path, [question], [add])


@kind("a host that does not forward")
def not_forwarding(draw: Draw) -> Sample:
    path = draw.path(shortest=2)
    sent = traffic(draw, path, family=4, listen=False)
    router = draw.rng.choice(path.routers)
    path.forms[router]["sysctls"] = {"net.ipv4.ip_forward": 0}
    witnesses = [counter(router, "Ip.InAddrErrors"), *reached(path, router)]
    question = death(sent, End(router, Cause.NOT_FORWARDING), witnesses)
    return Sample(path, [question])


@kind("too big for a link")
def too_big(draw: Draw) -> Sample:
    path = draw.path(shortest=2, families=(4,))
    family = 4
    narrow(draw, path)
    segment = next(s for s in path.segments if any("mtu" in link for link in _links(path, s)))
    router = segment.left
    sent = traffic(draw, path, family=family, protocol="udp", size=1400, listen=False)
    source = path.before(router).address(router, family)
    witnesses = [error(3, 4, source), counter(router, "Ip.FragFails"), *reached(path, router)]
    return Sample(path, [death(sent, End(router, Cause.TOO_BIG), witnesses)])


def _links(path, segment):
    own = [path.link(segment)]
    return own + [
        link
        for link in path.links
        if any(end.partition(":")[0].startswith(f"s{segment.number}") for end in link["ends"])
    ]


@kind("too big for a link, IPv6")
def too_big6(draw: Draw) -> Sample:
    path = draw.path(shortest=2)
    segment = path.segments[draw.rng.randrange(1, len(path.segments))]
    for link in _links(path, segment):
        link["mtu"] = 1280
    protocol = draw.rng.choice(("udp", "icmp", "253"))
    sent = traffic(draw, path, family=6, protocol=protocol, size=1400, listen=False)
    source = path.before(segment.left).address(segment.left, 6)
    witnesses = [error(2, 0, source), *reached(path, segment.left)]
    return Sample(path, [death(sent, End(segment.left, Cause.TOO_BIG), witnesses)])


@kind("reverse path filter at a router")
def rp_filter(draw: Draw) -> Sample:
    """Packets come in by one link while the way back is another."""
    path = draw.path(length=2)
    (router,) = path.routers
    path.links.append(
        {
            "ends": [f"{path.sender}:second", f"{router}:second"],
            "subnet": "10.77.0.0/24",
            "addresses": {path.sender: "10.77.0.1", router: "10.77.0.2"},
        }
    )
    path.forms[router] |= {
        "sysctls": {"net.ipv4.conf.all.rp_filter": 1},
        "routes": [{"to": f"{path.source(4)}/32", "via": "10.77.0.1"}],
    }
    sent = traffic(draw, path, family=4, listen=False)
    witnesses = [counter(router, "TcpExt.IPReversePathFilter"), *reached(path, router)]
    return Sample(path, [death(sent, End(router, Cause.RP_FILTER), witnesses)])


@kind("link down: this end", copies=False)
def link_down_here(draw: Draw) -> Sample:
    """The routes by it are gone; with no other the router has none."""
    path = draw.path(shortest=2)
    router = path.routers[-1]
    sent = traffic(draw, path, listen=False)
    segment = path.after(router)
    source = path.before(router).address(router, sent.family)
    witnesses = [
        error(*((3, 0) if sent.family == 4 else (1, 0)), source),
        *reached(path, router),
    ]
    question = death(sent, End(router, Cause.NO_ROUTE), witnesses)
    question.predictable = False
    return Sample(path, [question], [link_down(router, segment.left_if)])


@kind("link down: the other end", copies=False)
def link_down_there(draw: Draw) -> Sample:
    """The kernel keeps the route of a link without carrier, and drops what is sent by it."""
    path = draw.path(shortest=2)
    segment = path.segments[-1]
    if "subnet" not in path.link(segment):
        return link_down_there(draw)  # behind a switch the router's own link stays up
    path.link(segment).pop("delay", None)  # and so it does before a box
    sent = traffic(draw, path, family=4, listen=False)
    witnesses = reached(path, path.routers[-1])
    question = death(sent, End(path.routers[-1], Cause.LINK_DOWN), witnesses)
    question.predictable = False
    return Sample(path, [question], [link_down(path.receiver, segment.right_if)])


@kind("nobody behind a router has the address", slow=True)
def nobody(draw: Draw) -> Sample:
    path = draw.path(shortest=2)
    path.defaults["neighbours"] = "dynamic"
    family = draw.family()
    router = path.routers[-1]
    address = path.segments[-1].host(251, family)
    sent = traffic(draw, path, family=family, target=address, listen=False, size=32)
    sent.doors.clear()
    source = path.before(router).address(router, family)
    witnesses = [
        neighbour(router, address),
        error(*((3, 1) if family == 4 else (1, 3)), source),
    ]
    question = death(sent, End(router, Cause.NEIGHBOUR), witnesses)
    question.patience = 6
    return Sample(path, [question])


@kind("lost in a box", copies=False)
def lost(draw: Draw) -> Sample:
    path = draw.path()
    segment = draw.rng.choice(path.segments)
    link = path.link(segment)
    if "subnet" not in link:
        return lost(draw)
    link.pop("delay", None)
    link["middleboxes"] = [{"kind": "impair", "loss": "100%"}]
    sent = traffic(draw, path, listen=False)
    witnesses = [
        counter(segment.left, f"tx {segment.left_if}"),
        steady(segment.right, f"rx {segment.right_if}"),
    ]
    return Sample(path, [death(sent, End("", Cause.BOX), witnesses)])


@kind("first packet only")
def first_only(draw: Draw) -> Sample:
    path = draw.path(shortest=2)
    router = draw.rng.choice(path.routers)
    path.forms[router]["middleboxes"] = ["first-packet-only"]
    sent = traffic(draw, path, protocol=draw.rng.choice(("udp", "253")), packets=3, listen=False)
    question = arrival(path, sent)
    here, died = End(path.receiver, Cause.ARRIVED), End(router, Cause.RULE, "first-packet-only")
    question.truth = Truth((here, died, died))
    question.witnesses = [rule(router, "first-packet-only", 2)]
    return Sample(path, [question])


@kind("each nth packet")
def every_nth(draw: Draw) -> Sample:
    path = draw.path(shortest=2)
    router = draw.rng.choice(path.routers)
    path.forms[router]["middleboxes"] = [{"kind": "every-nth", "n": 3}]
    sent = traffic(draw, path, protocol="udp", packets=3, listen=False)
    question = arrival(path, sent)
    here, died = End(path.receiver, Cause.ARRIVED), End(router, Cause.RULE, "every-nth")
    question.truth = Truth((here, here, died))
    question.witnesses = [rule(router, "every-nth")]
    return Sample(path, [question])
