"""``trace``, ``explain``, ``capture``, ``ladder``: what became of the packets."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from netlab import lab as labs
from netlab.cli import console
from netlab.errors import Diagnostic, InputError, LabError

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from netlab.drive.probe import Probes
    from netlab.fate.explain import Outcome
    from netlab.fate.fates import Fate, Fates
    from netlab.fate.watch import Watch
    from netlab.lab import Lab, LabNode
    from netlab.plan.operations import Plan

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "hdp": 255}


def trace(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab trace``."""
    parser.usage = "netlab trace [-h] [--json] [-w FILE] [LAB/]NODE|LAB -- CMD..."
    parser.epilog = (
        "The command runs in NODE, or outside of the lab if only LAB is named. The exit code is "
        "the command's.\nIGMP, MLD and Neighbour Discovery are shown with --json only.\n\n"
        "examples:\n"
        "  netlab trace client -- ping -c1 server\n"
        "  netlab trace -w ping.pcapng nat/client -- ping -c1 server"
    )
    _command(parser)
    parser.add_argument("--json", action="store_true", help="print the fates as JSON")
    parser.add_argument("-w", dest="file", metavar="FILE", help="also write a pcapng file")
    parser.set_defaults(run=_trace, parser=parser)


def _command(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", metavar="[LAB/]NODE|LAB", help="LAB may be left out if only one runs"
    )
    parser.add_argument("command", metavar="CMD", nargs=argparse.REMAINDER, help="what to run")


def _trace(arguments: argparse.Namespace) -> int:
    # With --json the answer alone belongs on standard output.
    lab, watch, code = _watched(arguments, quiet=arguments.json)
    del lab
    if arguments.file:
        _write(arguments.file, watch)
    if arguments.json:
        console.print_json(watch.fates.to_json())
    else:
        from netlab.report.journey import text

        print(text(watch.fates.of_interest), end="")
    return code


def _watched(arguments: argparse.Namespace, *, quiet: bool) -> tuple[Lab, Watch, int]:
    """Run the command of ``arguments`` while the lab is watched."""
    command = arguments.command
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        arguments.parser.error("no command: -- ping -c1 server")
    lab, node = _target(arguments.target)
    sys.stdout.flush()
    with lab.observe() as watch:
        out = sys.stderr if quiet else None
        try:
            if node is None:
                process = subprocess.Popen(command, stdout=out)
            else:
                process = node.popen(command, stdout=out)
        except OSError as error:
            message = f"cannot run {command[0]}: {error.strerror}"
            raise LabError(Diagnostic("E410", message)) from None
        code = _wait(process)
        watch.settle()
    return lab, watch, code


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit code; Ctrl-C ends the command, not the observation."""
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            continue
        return code if code >= 0 else 128 - code


def _target(target: str) -> tuple[Lab, LabNode | None]:
    """The lab of ``[LAB/]NODE`` and the node, or the lab of that name alone."""
    from netlab.kernel import ownership

    if "/" not in target and any(found.name == target for found in ownership.labs()):
        return labs.Lab.attach(target), None
    found, node = labs.find_node(target)
    lab = labs.Lab.attach(found.name)
    return lab, lab[node]


def _write(path: str, watch: Watch) -> None:
    from netlab.report.pcapng import blocks

    try:
        with Path(path).open("wb") as stream:
            stream.writelines(blocks(watch.evidence, watch.fates))
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise LabError(Diagnostic("E511", message)) from None


def explain(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab explain``."""
    parser.epilog = (
        "Exit code 0 if the last packet arrived, 1 if not. Where the first packet fares otherwise "
        "than\nthe plan lets expect, both are shown, and where they part.\n\n"
        "examples:\n"
        "  netlab explain client server --proto 255 --count 3\n"
        "  netlab explain nat/client nat/server --proto tcp --dport 80 --json\n"
        "  netlab explain --predict --file topologies/nat.yaml client server --proto hdp"
    )
    parser.add_argument("source", metavar="[LAB/]FROM", help="the node that sends")
    parser.add_argument("destination", metavar="[LAB/]TO", help="a node of the lab, or an address")
    parser.add_argument(
        "--proto",
        type=_protocol,
        default=1,
        metavar="P",
        help="IP protocol: a number, or icmp, tcp, udp, hdp (default: icmp)",
    )
    parser.add_argument("--count", type=_positive, default=1, metavar="N", help="how many packets")
    parser.add_argument("--dport", type=_port, metavar="PORT", help="destination port (tcp, udp)")
    parser.add_argument(
        "--size", type=_positive, default=32, metavar="OCTETS", help="payload (default: 32)"
    )
    parser.add_argument(
        "--listen",
        action="store_true",
        help="hold a socket open at the destination, as a server would",
    )
    parser.add_argument("-6", dest="six", action="store_true", help="over IPv6")
    parser.add_argument(
        "--predict", action="store_true", help="send nothing: say what the plan lets expect"
    )
    parser.add_argument(
        "--file", metavar="FILE", help="with --predict: a topology file in place of a running lab"
    )
    parser.add_argument("--json", action="store_true", help="print the fates as JSON")
    parser.set_defaults(run=_explain)


def _protocol(text: str) -> int:
    number = PROTOCOLS.get(text)
    if number is None:
        number = int(text)
    if not 0 < number < 256:
        raise ValueError(text)
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
    from netlab.drive.probe import PORT, Probes
    from netlab.fate.probed import probed

    if arguments.predict:
        return _predict(arguments)
    lab, node = _target(arguments.source)
    if node is None:
        raise InputError(Diagnostic("E512", f"{arguments.source} is a lab; which node sends?"))
    address, other = _destination(lab, arguments.destination, six=arguments.six)
    probes = Probes(
        address,
        arguments.proto,
        port=arguments.dport or PORT,
        count=arguments.count,
        size=arguments.size,
    )
    with contextlib.ExitStack() as stack:
        if arguments.listen and other:
            stack.enter_context(_listener(other, probes.family, probes.proto, probes.port))
        watch = stack.enter_context(lab.observe())
        probes.send(node.inside)
        watch.settle()
    fates, results = probed(watch.fates, probes)
    predicted = _prediction(lab.plan, node.name, probes)
    _answer(fates, results, predicted, as_json=arguments.json)
    return 0 if results[-1].arrived else 1


def _answer(fates: Fates, results: Sequence[Outcome], predicted: Fate, *, as_json: bool) -> None:
    from netlab.fate.explain import sentence
    from netlab.fate.predict import divergence

    whole = len(fates) and not fates[0].disposition.lives_on and not fates[0].packet.is_fragment
    parted = divergence(predicted, fates[0]) if whole else ""
    if as_json:
        said = fates.to_json()
        if parted:
            said |= {"predicted": predicted.to_json(), "divergence": parted}
        console.print_json(said)
        return
    print(sentence(results))
    if parted:
        print(f"The plan let expect otherwise: {_expected(predicted)} They part {parted}.")
    for gap in fates.gaps:
        print(console.style(f"({gap.collector}: {gap.text})", "dim"))


def _predict(arguments: argparse.Namespace) -> int:
    """The answer without any packet."""
    from netlab.drive.probe import PORT, Probes
    from netlab.fate.fates import Fates

    if arguments.file:
        lab, source = labs.Lab(arguments.file), arguments.source
        lab[source]  # which says so if there is no such node
    else:
        lab, node = _target(arguments.source)
        if node is None:
            raise InputError(Diagnostic("E512", f"{arguments.source} is a lab; which node sends?"))
        source = node.name
    address, _ = _destination(lab, arguments.destination, six=arguments.six)
    port = arguments.dport or PORT
    probes = Probes(address, arguments.proto, port=port, size=arguments.size)
    fate = _prediction(lab.plan, source, probes)
    if arguments.json:
        console.print_json(Fates([fate]).to_json())
    else:
        print(_expected(fate))
    return 0 if fate.arrived else 1


def _prediction(plan: Plan, source: str, probes: Probes) -> Fate:
    from netlab.fate.predict import Question, predict

    header = {6: 40, 17: 8, 1: 8, 58: 8}.get(probes.proto, 0)
    size = header + (0 if probes.proto == 6 else probes.size)
    port = probes.port if probes.proto in (6, 17) else 0
    return predict(plan, Question(source, probes.target, probes.proto, port, size))


def _expected(fate: Fate) -> str:
    from netlab.fate.disposition import Disposition
    from netlab.fate.explain import because

    if fate.arrived:
        return f"It should reach {fate.node}."
    if fate.disposition is Disposition.UNKNOWN:
        return f"Nobody can tell: in {fate.node}, {because(fate.reason)}."
    return f"It should die in {fate.node}: {because(fate.reason)}."


def _destination(lab: Lab, text: str, *, six: bool) -> tuple[str, LabNode | None]:
    """The address of a node, or the one that was given."""
    import ipaddress

    with contextlib.suppress(ValueError):
        address = str(ipaddress.ip_address(text))
        return address, next((node for node in lab if address in node.addresses), None)
    name, slash, node_name = text.rpartition("/")
    if slash and name != lab.name:
        raise InputError(Diagnostic("E513", f"{text} is in another lab than {lab.name}"))
    node = lab[node_name]
    for address in node.addresses:
        if (":" in address) == six:
            return address, node
    raise LabError(Diagnostic("E414", f"{node.name} has no {'IPv6' if six else 'IPv4'} address"))


def _listener(node: LabNode, family: int, proto: int, port: int) -> socket.socket:
    from netlab.drive.probe import listener

    try:
        return node.inside(lambda: listener(family, proto, port))
    except OSError as error:
        message = f"cannot listen at {node.name}: {error.strerror}"
        raise LabError(Diagnostic("E514", message)) from None


def capture(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab capture``."""
    parser.epilog = (
        "Runs until Ctrl-C. With -w every packet of the file has its fate as a comment, and "
        "interfaces are named node:interface.\n\n"
        "examples:\n"
        "  netlab capture\n"
        "  netlab capture nat -w lab.pcapng --seconds 10"
    )
    parser.add_argument("lab", metavar="LAB", nargs="?", help="may be left out if only one runs")
    parser.add_argument("-w", dest="file", metavar="FILE", help="write a pcapng file")
    parser.add_argument("--seconds", type=float, metavar="S", help="end after so long")
    parser.set_defaults(run=_capture)


def _capture(arguments: argparse.Namespace) -> int:
    lab = labs.Lab.attach(arguments.lab)
    if arguments.file:
        # A path that cannot be written should be told before, not after.
        _try(arguments.file)
    with lab.observe() as watch:
        ends = "" if arguments.seconds else "; Ctrl-C ends it"
        print(f"watching {len(lab.nodes)} nodes{ends}", file=sys.stderr)
        end = time.monotonic() + (arguments.seconds or float("inf"))
        with contextlib.suppress(KeyboardInterrupt):
            while time.monotonic() < end:
                time.sleep(0.1)
                if not arguments.file:
                    _show(watch)
    if arguments.file:
        _write(arguments.file, watch)
        frames, packets = len(watch.evidence.frames), len(watch.fates)
        print(f"{arguments.file}: {frames} frames of {packets} packets")
    return 0


def _try(path: str) -> None:
    try:
        with Path(path).open("ab"):
            pass
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise LabError(Diagnostic("E511", message)) from None


def _show(watch: Watch) -> None:
    from netlab.fate.join import label
    from netlab.fate.packet import frame_view

    for frame in watch.live():
        packet = frame_view(frame.data, ethernet=frame.ethernet)
        what = label(packet) if packet else f"{frame.length} octets, not IP"
        clock = time.strftime("%H:%M:%S", time.localtime(frame.time_ns // 10**9))
        place = f"{frame.node}:{frame.interface}"
        print(f"{clock}.{frame.time_ns % 10**9:09} {place:<20} {frame.direction:<3} {what}")
    sys.stdout.flush()


def ladder(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab ladder``."""
    parser.usage = "netlab ladder [-h] [--format FORMAT] [-o FILE] [LAB/]NODE|LAB -- CMD..."
    parser.epilog = (
        "examples:\n"
        "  netlab ladder client -- ping -c1 server\n"
        "  netlab ladder --format svg -o ping.svg nat/client -- ping -c1 server"
    )
    _command(parser)
    parser.add_argument(
        "--format", choices=("text", "svg", "mermaid"), default="text", help="how to draw"
    )
    parser.add_argument("-o", dest="output", metavar="FILE", help="where to (default: here)")
    parser.set_defaults(run=_ladder, parser=parser)


def _ladder(arguments: argparse.Namespace) -> int:
    from netlab.report import journey
    from netlab.report import ladder as drawing

    lab, watch, code = _watched(arguments, quiet=True)
    title = f"{lab.name}: {' '.join(_shown(arguments.command))}"
    steps = journey.ladder(watch.fates.of_interest, lab.plan, title)
    if arguments.format == "text":
        width = os.get_terminal_size().columns if sys.stdout.isatty() else 100
        drawn = drawing.text(steps, width=width)
    else:
        drawn = getattr(drawing, arguments.format)(steps)
    if not arguments.output:
        print(drawn, end="")
        return code
    try:
        Path(arguments.output).write_text(drawn, encoding="utf-8")
    except OSError as error:
        message = f"cannot write {arguments.output}: {error.strerror}"
        raise LabError(Diagnostic("E511", message)) from None
    return code


def _shown(command: Sequence[str]) -> Sequence[str]:
    return command[1:] if command[:1] == ["--"] else command
