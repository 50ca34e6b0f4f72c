"""Packets that come to their node and end there, and answers that do not come back."""

from tests.oracle.kinds_sender import words
from tests.oracle.sample import Draw, Sample, kind
from tests.oracle.traffic import (
    Traffic,
    arrival,
    death,
    echo_in,
    name4,
    traffic,
)
from tests.oracle.truth import Cause, End, Truth
from tests.oracle.witness import (
    Door,
    Seen,
    Witness,
    accepted,
    counter,
    error,
    refusal,
    rule,
    steady,
)


def _closed(draw: Draw, protocol: str) -> tuple[Sample, Traffic]:
    path = draw.path()
    sent = traffic(draw, path, protocol=protocol, listen=False)
    sent.doors.clear()
    return Sample(path, [death(sent, End(path.receiver, Cause.CLOSED), [])]), sent


@kind("closed UDP port")
def closed_udp(draw: Draw) -> Sample:
    sample, sent = _closed(draw, "udp")
    path, family = sample.path, sent.family
    sample.questions[0].witnesses += [
        counter(path.receiver, name4(family, "Udp.NoPorts", "Udp6NoPorts")),
        error(3, 3, path.target(4)) if family == 4 else error(1, 4, path.target(6)),
    ]
    return sample


@kind("closed TCP port")
def closed_tcp(draw: Draw) -> Sample:
    sample, _ = _closed(draw, "tcp")
    sample.questions[0].witnesses += [counter(sample.path.receiver, "Tcp.OutRsts")]
    return sample


@kind("protocol that nobody takes")
def closed_protocol(draw: Draw) -> Sample:
    sample, sent = _closed(draw, str(draw.rng.choice((99, 143, 200, 253, 254, 255))))
    path = sample.path
    if sent.family == 4:
        sample.questions[0].witnesses += [
            counter(path.receiver, "Ip.InUnknownProtos"),
            error(3, 2, path.target(4)),
        ]
    else:
        sample.questions[0].witnesses += [
            counter(path.receiver, "Ip6InUnknownProtos"),
            error(4, 1, path.target(6)),
        ]
    return sample


@kind("input rule at the receiver")
def input_rule(draw: Draw) -> Sample:
    path = draw.path()
    sent = traffic(draw, path, listen=False)
    text = f"drop {words(sent.flow.protocol, sent.flow.port)}"
    path.forms[path.receiver] = {"firewall": {"rules": [text]}}
    witnesses = [rule(path.receiver, text)]
    return Sample(path, [death(sent, End(path.receiver, Cause.RULE, text), witnesses)])


@kind("input policy at the receiver")
def input_policy(draw: Draw) -> Sample:
    path = draw.path()
    sent = traffic(draw, path, protocol=draw.rng.choice(("udp", "tcp", "253")), listen=False)
    path.forms[path.receiver] = {"firewall": {"input": "drop", "rules": ["accept icmp"]}}
    witnesses = [rule(path.receiver, "input policy drop")]
    end = End(path.receiver, Cause.RULE, "policy")
    first = death(sent, end, witnesses)
    then = arrival(path, traffic(draw, path, protocol="icmp", family=sent.family))
    return Sample(path, [first, then])


@kind("rejected at the receiver")
def rejected(draw: Draw) -> Sample:
    path = draw.path()
    sent = traffic(draw, path, protocol=draw.rng.choice(("udp", "tcp")), listen=False)
    text = f"reject {words(sent.flow.protocol, sent.flow.port)}"
    path.forms[path.receiver] = {"firewall": {"rules": [text]}}
    witnesses = [rule(path.receiver, text)]
    if sent.flow.protocol == "udp":
        witnesses.append(error(3, 3) if sent.family == 4 else error(1, 4))
    return Sample(path, [death(sent, End(path.receiver, Cause.RULE, text), witnesses)])


def _died_on_its_way_back(
    draw: Draw, sample: Sample, family: int, end: End, witnesses: list[Witness]
) -> Sample:
    """An echo request that arrives, and whose reply dies."""
    path = sample.path
    sent = traffic(draw, path, family=family, protocol="icmp")
    question = arrival(path, sent)
    question.truth = Truth((End(path.receiver, Cause.ARRIVED),), end)
    question.witnesses = [counter(path.receiver, echo_in(family)), *witnesses]
    sample.questions.append(question)
    return sample


@kind("missing way back")
def no_way_back(draw: Draw) -> Sample:
    path = draw.path(shortest=2)
    path.forms[path.receiver] = {"automatic_routes": False}
    family = draw.family()
    witnesses = [
        refusal(path.receiver, path.source(family), "ENETUNREACH"),
        steady(path.receiver, f"tx {path.segments[-1].right_if}"),
    ]
    end = End(path.receiver, Cause.NO_ROUTE)
    return _died_on_its_way_back(draw, Sample(path, []), family, end, witnesses)


@kind("a router drops the answer")
def answer_dropped(draw: Draw) -> Sample:
    path = draw.path(shortest=2)
    family = draw.family()
    router = draw.rng.choice(path.routers)
    text = f"drop icmp from {path.after(router).left_if}"
    path.forms[router]["firewall"] = {"rules": [text]}
    end = End(router, Cause.RULE, text)
    return _died_on_its_way_back(draw, Sample(path, []), family, end, [rule(router, text)])


@kind("the receiver drops its answer")
def answer_refused(draw: Draw) -> Sample:
    path = draw.path()
    family = draw.family()
    text = "drop output icmp"
    path.forms[path.receiver] = {"firewall": {"rules": [text]}}
    end = End(path.receiver, Cause.RULE, text)
    return _died_on_its_way_back(draw, Sample(path, []), family, end, [rule(path.receiver, text)])


@kind("socket buffer full", copies=False)
def socket_full(draw: Draw) -> Sample:
    """The smallest buffer takes the first datagrams, and nobody reads."""
    path = draw.path()
    family = draw.family()
    port = draw.rng.randrange(1000, 30000)
    sent = traffic(draw, path, family=family, protocol="udp", port=port, size=800, packets=4)
    sent = sent._replace(flow=sent.flow._replace(listen=False))
    question = arrival(path, sent)
    question.doors = [Door(path.receiver, "udp", family, port, buffer=1)]
    full = End(path.receiver, Cause.SOCKET_FULL)
    here = End(path.receiver, Cause.ARRIVED)

    def settled(seen: Seen) -> Truth:
        taken = len(seen.received)
        return Truth((here,) * taken + (full,) * (sent.flow.packets - taken))

    question.settled = settled
    name = name4(family, "Udp.RcvbufErrors", "Udp6RcvbufErrors")
    question.witnesses = [
        Witness(
            "each datagram received, or counted as too many",
            lambda seen: (
                0 < seen.counters[path.receiver, name] < sent.flow.packets
                and seen.counters[path.receiver, name] + len(seen.received) == sent.flow.packets
            ),
        )
    ]
    question.predictable = False
    return Sample(path, [question])


@kind("accept queue full", slow=True)
def accept_queue(draw: Draw) -> Sample:
    path = draw.path()
    family = draw.family()
    port = draw.rng.randrange(1000, 30000)
    sent = traffic(draw, path, family=family, protocol="tcp", port=port, packets=2, listen=False)
    question = arrival(path, sent)
    question.doors = [Door(path.receiver, "tcp", family, port, backlog=0)]
    here = End(path.receiver, Cause.ARRIVED)
    question.truth = Truth((here, End(path.receiver, Cause.LISTEN_FULL)))
    question.witnesses = [
        counter(path.receiver, "TcpExt.ListenOverflows"),
        counter(path.receiver, "Tcp.PassiveOpens"),
        accepted(1),
    ]
    question.predictable = False
    return Sample(path, [question])


@kind("reverse path filter at the receiver", copies=False)
def rp_filter(draw: Draw) -> Sample:
    """The receiver has two links to one router and answers by the other."""
    path = draw.path(length=2)
    (router,) = path.routers
    last = path.segments[-1]
    path.links.append(
        {
            "ends": [f"{router}:second", f"{path.receiver}:second"],
            "subnet": "10.77.0.0/24",
            "addresses": {router: "10.77.0.1", path.receiver: "10.77.0.2"},
        }
    )
    path.forms[path.receiver] = {
        "gateway": last.address(router, 4),
        "sysctls": {"net.ipv4.conf.all.rp_filter": 1, "net.ipv4.conf.default.rp_filter": 1},
    }
    sent = traffic(draw, path, family=4, target="10.77.0.2", listen=False)
    witnesses = [
        counter(path.receiver, "TcpExt.IPReversePathFilter"),
        counter(path.receiver, "rx second"),
    ]
    return Sample(path, [death(sent, End(path.receiver, Cause.RP_FILTER), witnesses)])
