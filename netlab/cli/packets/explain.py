"""``explain``: send packets, or none, and say in a sentence where they die."""

from __future__ import annotations

import argparse
import contextlib
from typing import TYPE_CHECKING

from netlab.cli import console
from netlab.cli.packets.target import known_as, sender
from netlab.errors import Diagnostic, InputError, LabError
from netlab.lab import lab as labs
from netlab.topology import shipped

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from netlab.capture.evidence import Evidence, NodeState
    from netlab.io.probes import Probes
    from netlab.lab.lab import Lab, LabNode
    from netlab.plan.operations import Plan
    from netlab.trace.explain import ProbeResult
    from netlab.trace.model import PacketTrace, Traces

HDP = 255
ICMP, ICMPV6, TCP, UDP = 1, 58, 6, 17


def explain(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab explain``."""
    parser.epilog = (
        "Exit code 0 if the last packet arrived and its answer is not lost, 1 if not.\n"
        "Where packets differ from the prediction, both are shown for the first that does, and\n"
        "where their paths diverge.\n\n"
        "examples:\n"
        "  netlab explain client server --proto 255 --count 3\n"
        "  netlab explain nat/client nat/server --proto tcp --dport 80 --json\n"
        "  netlab explain --predict --file topologies/nat.yaml client server --proto hdp --count 3"
    )
    parser.add_argument("source", metavar="[LAB/]FROM", help="the node that sends")
    parser.add_argument("destination", metavar="[LAB/]TO", help="a node of the lab, or an address")
    parser.add_argument(
        "--proto",
        type=_protocol,
        default=1,
        metavar="P",
        help="IP protocol: a number, hdp, or icmp, tcp, udp, gre, sctp, ospf … (default: icmp)",
    )
    parser.add_argument("--count", type=_positive, default=1, metavar="N", help="how many packets")
    parser.add_argument("--dport", type=_port, metavar="PORT", help="destination port (tcp, udp)")
    parser.add_argument(
        "--size", type=_positive, default=32, metavar="OCTETS", help="payload (default: 32)"
    )
    parser.add_argument(
        "--listen",
        action="store_true",
        help="hold a socket open at the destination, as a server would, and answer",
    )
    parser.add_argument(
        "--one-way", action="store_true", help="do not follow the answers to the packets"
    )
    parser.add_argument("-6", dest="six", action="store_true", help="over IPv6")
    parser.add_argument(
        "--predict", action="store_true", help="do not send; predict the result from the plan"
    )
    parser.add_argument(
        "--file", metavar="FILE", help="with --predict: a topology file in place of a running lab"
    )
    parser.add_argument("--json", action="store_true", help="print the fates as JSON")
    parser.set_defaults(run=_explain)


def _protocol(text: str) -> int:
    from netlab.wire.protocols import NUMBERS

    name = text.lower()
    number = HDP if name == "hdp" else NUMBERS.get(name, 0)
    if name.isascii() and name.isdigit() and len(name) < 4:
        number = int(name)
    if not 0 < number < 256:
        known = ", ".join(["hdp", *NUMBERS])
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number from 1 to 255 nor one of {known}"
        )
    return number


def _positive(text: str) -> int:
    number = int(text)
    if not 0 < number <= 100_000:
        raise ValueError(text)
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 < number < 65536:
        raise ValueError(text)
    return number


def _explain(arguments: argparse.Namespace) -> int:
    from netlab.io.probes import PORT, Probes, Responder
    from netlab.trace.probe_results import probed

    _check(arguments)
    if arguments.predict:
        return _predict(arguments)
    lab, node = sender(arguments.source)
    address, other = _destination(lab, node.name, arguments.destination, six=arguments.six)
    probes = Probes(
        address,
        arguments.proto,
        port=arguments.dport or PORT,
        count=arguments.count,
        size=arguments.size,
    )
    state = _state(lab)
    responder = None
    with contextlib.ExitStack() as stack:
        if arguments.listen and other:
            heard = stack.enter_context(_listener(other, probes.family, probes.proto, probes.port))
            if not arguments.one_way and probes.proto not in (1, 6, 58):
                responder = stack.enter_context(Responder(probes, heard))
        # The sockets stay open until all has been seen: an answer must find them.
        held = stack.enter_context(contextlib.ExitStack())
        watch = stack.enter_context(lab.observe())
        probes.send(node.inside, held)
        watch.settle()
    traces, results = probed(watch.traces, probes, one_way=arguments.one_way)
    results = [_refused(result, watch.evidence, node.name, address) for result in results]
    if not arguments.one_way:
        answered = probes.proto in (1, 6, 58) or responder is not None
        results = [_unanswered(lab, result, due=answered) for result in results]
    predicted = _prediction(lab.plan, node.name, probes, state=state, listens=arguments.listen)
    _answer(traces, results, predicted, node.name, probes, as_json=arguments.json)
    return 0 if results[-1].arrived and results[-1].is_answered else 1


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that would be passed over in silence."""
    if arguments.file and not arguments.predict:
        message = "--file is for --predict: packets are sent in a running lab only"
        hint = f"add --predict, or `netlab up {arguments.file}` first"
        raise InputError(Diagnostic("E515", message, hint=hint))
    if arguments.dport and arguments.proto not in (TCP, UDP):
        message = f"--dport: IP protocol {arguments.proto} has no ports here"
        raise InputError(Diagnostic("E515", message, hint="--proto tcp or --proto udp"))


def _refused(result: ProbeResult, evidence: Evidence, sender: str, target: str) -> ProbeResult:
    """The same with what the sender's routes and neighbours say of a packet that never left."""
    from netlab.trace.neighbours import unanswered
    from netlab.wire.address import packed

    if result.decisive is not None:
        return result
    wanted = packed(target)
    fit = [r for r in evidence.routes if r.node == sender and r.covers(wanted)]
    if fit and result.refusal:
        kind = max(fit, key=lambda route: route.length).kind
        return result._replace(refusal=f"{kind} route ({result.refusal})")
    if not result.refusal:
        return result._replace(refusal=unanswered(evidence, sender, wanted))
    return result


def _unanswered(lab: Lab, result: ProbeResult, *, due: bool) -> ProbeResult:
    """The same with the reason why no answer was sent, where one was ``due``."""
    from netlab.cli.packets.way_back import no_answer

    end = result.decisive
    if not due or result.answers or result.receivers or end is None or not end.arrived:
        return result
    return result._replace(answers=(no_answer(lab[end.node], end),))


def _answer(
    traces: Traces,
    results: Sequence[ProbeResult],
    predicted: Sequence[PacketTrace],
    node: str,
    probes: Probes,
    *,
    as_json: bool,
) -> None:
    from netlab.trace.explain import sentence

    expected, parted = _parting(results, predicted)
    if as_json:
        said = {
            "packets": [result.to_json(node, probes.proto) for result in results],
            "traces": traces.to_json()["packets"],
            "complete": traces.complete,
        }
        if expected:
            said |= {"predicted": expected.to_json(), "divergence": parted}
        console.print_json(said)
        return
    print(sentence(results))
    if expected:
        which = f" for #{expected.id}" if len(results) > 1 else ""
        print(
            f"This differs from the prediction{which}: {_expected([expected])[0]}"
            f" The paths diverge {parted}."
        )
    for gap in traces.gaps:
        print(console.style(f"(not watched: {gap.collector}: {gap.text})", "dim"))


def _parting(
    results: Sequence[ProbeResult], predicted: Sequence[PacketTrace]
) -> tuple[PacketTrace | None, str]:
    """The first packet that fared otherwise than it was predicted to, and where they part."""
    from netlab.predict.divergence import divergence

    for outcome, expected in zip(results, predicted, strict=True):
        seen = outcome.decisive
        if seen and not seen.packet.is_fragment and (seen.copied or not seen.parents):
            parted = divergence(expected, seen)
            if parted:
                return expected, parted
    return None, ""


def _predict(arguments: argparse.Namespace) -> int:
    """The answer without any packet."""
    from netlab.io.probes import PORT, Probes
    from netlab.trace.model import Traces

    if arguments.file:
        lab, source = labs.Lab(shipped.find(arguments.file)), arguments.source
        lab[source]  # which says so if there is no such node
    else:
        lab, node = sender(arguments.source)
        source = node.name
    address, _ = _destination(lab, source, arguments.destination, six=arguments.six)
    port = arguments.dport or PORT
    probes = Probes(address, arguments.proto, port=port, count=arguments.count, size=arguments.size)
    traces = _prediction(
        lab.plan,
        source,
        probes,
        state=None if arguments.file else _state(lab),
        listens=arguments.listen,
    )
    if arguments.json:
        console.print_json(Traces(traces).to_json())
    else:
        print(" ".join(_expected(traces)))
    return 0 if traces[-1].arrived else 1


def _state(lab: Lab) -> dict[str, NodeState]:
    """What is known of the nodes as they run."""
    from netlab.capture.state import node_state

    found = {}
    for node in lab.nodes:
        with contextlib.suppress(OSError):
            found[node.name] = node.inside(node_state)
    return found


def _prediction(
    plan: Plan,
    source: str,
    probes: Probes,
    *,
    state: Mapping[str, NodeState] | None,
    listens: bool = False,
) -> list[PacketTrace]:
    """What the plan predicts, with the ``state`` of a lab that runs; without one it is fresh."""
    from netlab.predict.predict import Question, predictions

    header = {6: 40, 17: 8, 1: 8, 58: 8}.get(probes.proto, 0)
    size = header + (0 if probes.proto == 6 else probes.size)
    port = probes.port if probes.proto in (6, 17) else 0
    question = Question(
        source,
        probes.target,
        probes.proto,
        port,
        size,
        packets=probes.count,
        is_fresh=state is None,
        listens=listens,
    )
    return list(predictions(plan, question, state))


def _expected(traces: Sequence[PacketTrace]) -> list[str]:
    """A sentence for each way to fare; ``It`` if there is one packet, else their numbers."""
    from netlab.trace.disposition import Disposition
    from netlab.trace.explain import because, named

    groups: dict[str, list[int]] = {}
    for packet_trace in traces:
        if packet_trace.arrived:
            end = f"should reach {packet_trace.node}."
        elif packet_trace.disposition is Disposition.UNKNOWN:
            end = f"nobody can tell: in {packet_trace.node}, {because(packet_trace.reason)}."
        else:
            end = f"should die in {packet_trace.node}: {because(packet_trace.reason)}."
        groups.setdefault(end, []).append(packet_trace.id)
    if len(traces) > 1:
        return [
            f"Of {named(which)} {end}" if end.startswith("nobody") else f"{named(which)} {end}"
            for end, which in groups.items()
        ]
    [end] = groups
    return ["Nobody" + end[6:] if end.startswith("nobody") else f"It {end}"]


def _destination(lab: Lab, source: str, text: str, *, six: bool) -> tuple[str, LabNode | None]:
    """The address that ``text`` has in the node ``source``, and the node that it belongs to."""
    import ipaddress

    with contextlib.suppress(ValueError):
        address = str(ipaddress.ip_address(text))
        return address, next((node for node in lab if address in node.addresses), None)
    name, slash, node_name = text.rpartition("/")
    if slash and name != lab.name:
        raise InputError(Diagnostic("E513", f"{text} is in another lab than {lab.name}"))
    node = lab[node_name]
    # As a program in the sender would find it: names may lead to a translated address.
    for address in known_as(lab.plan, source, node_name):
        if (":" in address) == six:
            return address, node
    for address in node.addresses:
        if (":" in address) == six:
            others = [o.name for o in lab if address in o.addresses and o.name != node.name]
            if others:
                message = f"{source} has no name for {node.name}: {address} is also {others[0]}'s"
                raise LabError(Diagnostic("E414", message, hint="give an address"))
            return address, node
    raise LabError(Diagnostic("E414", f"{node.name} has no {'IPv6' if six else 'IPv4'} address"))


def _listener(node: LabNode, family: int, proto: int, port: int) -> socket.socket:
    from netlab.io.probes import listener

    try:
        return node.inside(lambda: listener(family, proto, port))
    except OSError as error:
        message = f"cannot listen at {node.name}: {error.strerror}"
        raise LabError(Diagnostic("E514", message)) from None
