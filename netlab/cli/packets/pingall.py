"""``pingall``: every node pings every other by name, and what became of those without an answer."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.cli import console
from netlab.cli.packets.target import known_as
from netlab.errors import Diagnostic, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlab.io.echo import Ask
    from netlab.lab.lab import Lab

MOST_EXPLAINED = 40
"""Pairs without an answer that are sent once more, each watched hop by hop."""

MOST_PAIRS = 100_000


class Pair(NamedTuple):
    """A node that pings another. ``address`` is the other's as the sender knows it, or empty."""

    sender: str
    receiver: str
    address: str


def pingall(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab pingall``."""
    parser.epilog = (
        "Each node asks for the others by the names that it knows: those in its /etc/hosts.\n"
        "Exit code 0 if all were answered, 1 if not.\n\n"
        "examples:\n"
        "  netlab pingall\n"
        "  netlab pingall dual-stack -6 --json"
    )
    parser.add_argument(
        "lab", metavar="LAB", nargs="?", help="may be left out if only one is running"
    )
    parser.add_argument("-6", dest="six", action="store_true", help="over IPv6")
    parser.add_argument(
        "--timeout", type=_seconds, default=1.0, metavar="S",
        help="seconds to wait after the last request (default: 1)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the pairs as JSON")
    parser.set_defaults(run=_pingall)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number <= 60:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 60")
    return number


def _lab(name: str | None) -> Lab:
    from netlab.lab import record
    from netlab.lab.lab import Lab, find_node

    if name is None or any(lab.name == name for lab in record.labs()):
        return Lab.attach(name)
    found, node = find_node(name)
    message = f"{node} is a node; pingall is about a whole lab"
    raise InputError(Diagnostic("E512", message, hint=f"netlab pingall {found.name}"))


def _pingall(arguments: argparse.Namespace) -> int:
    from netlab.io.echo import Ask, ask

    lab = _lab(arguments.lab)
    pairs = list(_pairs(lab, six=arguments.six))
    if not any(pair.address for pair in pairs):
        message = (
            f"no node of {lab.name} knows another by an IPv{6 if arguments.six else 4} address"
        )
        raise InputError(Diagnostic("E443", message, hint="" if arguments.six else "try -6"))
    if len(pairs) > MOST_PAIRS:
        raise InputError(Diagnostic("E443", f"{len(pairs)} pairs: at most {MOST_PAIRS} are tried"))
    asks = [Ask(pair.sender, pair.address) for pair in pairs if pair.address]
    answers = ask(asks, lambda name: lab[name].inside, arguments.timeout)
    silent = [one for one in asks if answers[one] is not None]
    why = _why(lab, silent[:MOST_EXPLAINED])
    if arguments.json:
        console.print_json(_described(lab.name, pairs, answers, why, six=arguments.six))
    else:
        print(_table(pairs, answers))
        _say(pairs, answers, why)
    return 0 if not silent else 1


def _pairs(lab: Lab, *, six: bool) -> Iterator[Pair]:
    """Every two nodes that have an address, and under which address the one knows the other."""

    def fits(address: str) -> bool:
        return (":" in address) == six

    ends = [n for n in lab if n.kind != "inline" and any(map(fits, n.addresses))]
    for sender in ends:
        if sender.kind == "stack":
            continue  # its address belongs to a program, which does not ping
        for receiver in ends:
            if receiver.name != sender.name:
                known = filter(fits, known_as(lab.plan, sender.name, receiver.name))
                yield Pair(sender.name, receiver.name, next(known, ""))


def _why(lab: Lab, silent: Sequence[Ask]) -> dict[Ask, str]:
    """What becomes of another request of each, in a sentence."""
    from netlab.io.probes import ICMP, Probes
    from netlab.trace.explain import sentence
    from netlab.trace.probe_results import probed

    if not silent:
        return {}
    tries = {one: Probes(one.address, ICMP) for one in silent}
    with ExitStack() as held, lab.observe() as watch:
        for one, probes in tries.items():
            probes.send(lab[one.sender].inside, held)
        watch.settle()
    return {one: sentence(probed(watch.traces, probes)[1]) for one, probes in tries.items()}


def _table(pairs: Sequence[Pair], answers: dict[Ask, str | None]) -> str:
    """A row for each sender, a column for each receiver."""
    from netlab.io.echo import Ask

    cells = {
        (pair.sender, pair.receiver): (
            "-" if not pair.address
            else "no" if answers[Ask(pair.sender, pair.address)] is not None
            else "yes"
        )
        for pair in pairs
    }  # fmt: skip
    senders = dict.fromkeys(pair.sender for pair in pairs)
    receivers = {pair.receiver for pair in pairs}
    everybody = dict.fromkeys(name for pair in pairs for name in (pair.sender, pair.receiver))
    columns = [name for name in everybody if name in receivers]
    rows = [("FROM", *columns)]
    rows += [(one, *(cells.get((one, other), "") for other in columns)) for one in senders]
    return console.columns(rows)


def _say(pairs: Sequence[Pair], answers: dict[Ask, str | None], why: dict[Ask, str]) -> None:
    """How many were answered, and what became of the others."""
    from netlab.io.echo import Ask

    known = [pair for pair in pairs if pair.address]
    silent = [pair for pair in known if answers[Ask(pair.sender, pair.address)] is not None]
    print(f"{len(known) - len(silent)} of {len(known)} pings were answered")
    if len(known) < len(pairs):
        print(f"{len(pairs) - len(known)} were not sent: the sender knows no address of the other")
    for pair in silent:
        said = why.get(Ask(pair.sender, pair.address))
        if said:
            print(f"{pair.sender} -> {pair.receiver} ({pair.address}): sent again: {said}")
    if len(silent) > MOST_EXPLAINED:
        print(f"only the first {MOST_EXPLAINED} were sent again; netlab explain FROM TO")


def _described(
    lab: str,
    pairs: Sequence[Pair],
    answers: dict[Ask, str | None],
    why: dict[Ask, str],
    *,
    six: bool,
) -> dict[str, Any]:
    from netlab.io.echo import Ask

    rows = []
    for pair in pairs:
        one = Ask(pair.sender, pair.address)
        rows.append(
            {
                "from": pair.sender,
                "to": pair.receiver,
                "address": pair.address or None,
                "answered": answers[one] is None if pair.address else None,
                "sender_error": answers.get(one) or "",
                "sent_again": why.get(one, ""),
            }
        )
    return {"lab": lab, "family": 6 if six else 4, "pairs": rows}
