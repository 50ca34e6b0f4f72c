"""``trace --follow``: what becomes of every packet, as it happens."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING

from netlab.cli.packets.target import CaptureFile
from netlab.cli.packets.until import Until, seconds
from netlab.lab import lab as labs

if TYPE_CHECKING:
    from netlab.trace.live import LetGo

SAID = 1.0
"""Seconds between two lines about what was let go."""


def options(parser: argparse.ArgumentParser) -> None:
    """The options of ``trace``, of which --follow allows all."""
    parser.add_argument("--json", action="store_true", help="print the fates as JSON")
    parser.add_argument(
        "--all", action="store_true", help="show IGMP, MLD, ARP and Neighbour Discovery, too"
    )
    parser.add_argument("-w", dest="file", metavar="FILE", help="also write a pcapng file")
    parser.add_argument(
        "--follow", action="store_true", help="print each packet's fate when it ends"
    )
    parser.add_argument(
        "--seconds", type=seconds, metavar="S", help="with --follow: end after so long"
    )


def follow(arguments: argparse.Namespace) -> int:
    """Print the fates in a lab until a signal comes or the time is over."""
    from netlab.cli.packets.capture import clock
    from netlab.diagram.follow_text import Lines, of_interest

    if "--" in arguments.words:
        arguments.parser.error("--follow takes a LAB and no command")
    # Without a command, options may come behind LAB.
    rest = argparse.ArgumentParser(prog=arguments.parser.prog, usage=arguments.parser.usage)
    options(rest)
    rest.add_argument("lab", nargs="?")
    rest.parse_args(arguments.words, arguments)
    lab = labs.Lab.attach(arguments.lab)
    file = CaptureFile(arguments.file) if arguments.file else None
    lines = Lines(clock)
    said_at, said = 0.0, None
    with Until(arguments.seconds) as until, lab.observe() as watch:
        ends = "" if arguments.seconds is not None else "; Ctrl-C ends it"
        print(f"watching {len(lab.nodes)} nodes{ends}", file=sys.stderr)
        is_last = False
        while not is_last:
            is_last = until.is_over()
            if not is_last:
                time.sleep(watch.tick)
            settled = watch.step(is_last=is_last, all_frames=file is not None)
            if file:
                file.write(settled)
            shown = of_interest(settled.traces, everything=arguments.all)
            if arguments.json:
                for one in shown:
                    print(json.dumps(one.to_json(), ensure_ascii=False))
            else:
                for line in lines.lines(shown, time.monotonic_ns()):
                    print(line)
            sys.stdout.flush()
            if settled.overloaded or is_last:
                now = time.monotonic()
                if (now > said_at + SAID or is_last) and watch.let_go != said:
                    said_at, said = now, watch.let_go
                    _say(said, as_json=arguments.json)
        if not arguments.json:
            for line in lines.rest():
                print(line)
    if file:
        file.close()
    return 0


def _say(gone: LetGo, *, as_json: bool) -> None:
    """What was let go so far."""
    if not any(gone):
        return
    if as_json:
        print(json.dumps({"let_go": gone._asdict()}))
    else:
        print(gone, file=sys.stderr)
