"""Packets that do not leave their sender, or not alive."""

from netlab.lab.lab import Lab
from tests.oracle.sample import Draw, Sample, kind
from tests.oracle.traffic import death, traffic
from tests.oracle.truth import Cause, End
from tests.oracle.witness import neighbour, refusal, rule, steady


@kind("no route at the sender", copies=False)
def no_route(draw: Draw) -> Sample:
    path = draw.path(shortest=2)
    path.forms[path.sender] = {"automatic_routes": False}
    sent = traffic(draw, path, listen=False)
    segment = path.segments[0]
    witnesses = [
        refusal(path.sender, sent.flow.target, "ENETUNREACH"),
        steady(path.sender, f"tx {segment.left_if}"),
    ]
    return Sample(path, [death(sent, End(path.sender, Cause.NO_ROUTE), witnesses)])


@kind("output rule at the sender")
def output(draw: Draw) -> Sample:
    path = draw.path()
    sent = traffic(draw, path, listen=False)
    text = f"drop output {words(sent.flow.protocol, sent.flow.port)}"
    path.forms[path.sender] = {"firewall": {"rules": [text]}}
    witnesses = [rule(path.sender, text), steady(path.sender, f"tx {path.segments[0].left_if}")]
    return Sample(path, [death(sent, End(path.sender, Cause.RULE, text), witnesses)])


def words(protocol: str, port: int) -> str:
    """The short form's match for a protocol."""
    if protocol in ("tcp", "udp") and port:
        return f"{protocol}/{port}"
    return protocol if protocol in ("tcp", "udp", "icmp") else f"protocol {protocol}"


ROUTES = {
    "unreachable": (Cause.UNREACHABLE, "EHOSTUNREACH"),
    "prohibit": (Cause.PROHIBIT, "EACCES"),
    "blackhole": (Cause.BLACKHOLE, "EINVAL"),
}
"""The kernel's own kinds of route that refuse, and the errno of each at the sender."""


@kind("refusing route at the sender", copies=False)
def refusing(draw: Draw) -> Sample:
    path = draw.path(shortest=2)
    sent = traffic(draw, path, listen=False)
    word, (cause, name) = draw.rng.choice(list(ROUTES.items()))
    subnet = path.segments[-1].subnets[sent.family == 6]
    question = death(
        sent,
        End(path.sender, cause),
        [
            refusal(path.sender, sent.flow.target, name),
            steady(path.sender, f"tx {path.segments[0].left_if}"),
        ],
    )
    question.predictable = False

    def add(lab: Lab) -> None:
        add_route(lab, path.sender, sent.family, word, subnet)

    return Sample(path, [question], [add])


def add_route(lab: Lab, node: str, family: int, *words: str) -> None:
    """Add a route while the lab runs."""
    lab[node].run(["ip", f"-{family}", "route", "add", *words], check=True)


@kind("the sender's link is down", copies=False)
def own_link(draw: Draw) -> Sample:
    """Without its link a node has no routes."""
    path = draw.path()
    sent = traffic(draw, path, listen=False)
    segment = path.segments[0]
    question = death(
        sent,
        End(path.sender, Cause.NO_ROUTE),
        [
            refusal(path.sender, sent.flow.target, "ENETUNREACH"),
            steady(path.sender, f"tx {segment.left_if}"),
        ],
    )
    question.predictable = False
    return Sample(path, [question], [link_down(path.sender, segment.left_if)])


def link_down(node: str, interface: str):
    """Something to do to a lab: take an interface down."""

    def act(lab: Lab) -> None:
        lab[node].run(["ip", "link", "set", interface, "down"], check=True)

    return act


@kind("nobody on the link has the address", slow=True)
def nobody(draw: Draw) -> Sample:
    path = draw.path()
    path.defaults["neighbours"] = "dynamic"
    family = draw.family()
    segment = path.segments[0]
    address = segment.host(251, family)
    sent = traffic(draw, path, family=family, target=address, listen=False, size=32)
    sent.doors.clear()
    question = death(sent, End(path.sender, Cause.NEIGHBOUR), [neighbour(path.sender, address)])
    question.patience = 6
    return Sample(path, [question])
