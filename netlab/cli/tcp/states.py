"""``tcp states``: what the running stacks are doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


def states(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab tcp states``."""
    parser.epilog = "example:\n  netlab tcp states --json"
    parser.add_argument("--json", action="store_true", help="print a list for programs")
    parser.set_defaults(run=_states)


def _states(arguments: argparse.Namespace) -> int:
    from netlab.cli import console
    from netlab.io.tcp import states

    found = [{"pid": pid, **one} for pid, many in states.ask() for one in many]
    if arguments.json:
        console.print_json(found)
        return 0
    rows = [["State", "Recv-Q", "Send-Q", "Local", "Peer", ""]]
    rows += [
        [
            one["state"],
            str(one["recv_q"]),
            str(one["send_q"]),
            one["local"],
            one["remote"],
            _details(one),
        ]
        for one in found
    ]
    print(console.columns(rows))
    return 0


def _details(one: dict[str, Any]) -> str:
    """As ``ss -i`` writes it: times in ms, cwnd in segments."""
    words = [
        one["congestion"],
        f"rto:{one['rto']:g}",
        f"rtt:{one['srtt']:g}/{one['rttvar']:g}",
        f"mss:{one['mss']}",
        f"cwnd:{one['cwnd'] // one['mss']}",
        f"retrans:{one['retransmissions']}",
        *([f"backoff:{one['backoff']}"] if one["backoff"] else []),
        *(["recovery"] if one["in_recovery"] else []),
        *(f"timer:{name},{left}ms" for name, left in one["timers"].items()),
        f"pid:{one['pid']}",
    ]
    return " ".join(words)
