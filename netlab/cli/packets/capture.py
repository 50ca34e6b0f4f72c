"""``capture``: watch every interface, live or into a file."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from netlab.cli.packets.target import CaptureFile
from netlab.cli.packets.until import Until, seconds
from netlab.lab import lab as labs

if TYPE_CHECKING:
    import argparse

    from netlab.trace.watch import Watch

REST = 0.1
"""Seconds between two looks at what has come."""


def capture(parser: argparse.ArgumentParser) -> None:
    """Describe ``netlab capture``."""
    parser.epilog = (
        "Runs until Ctrl-C or SIGTERM. With -w every packet of the file has its fate as a\n"
        "comment, and interfaces are named node:interface. The file is written while packets\n"
        "come, so it is whole whenever this ends; packets that wait are in it later than others.\n"
        "What is too much to be judged, or shown, is counted.\n\n"
        "examples:\n"
        "  netlab capture\n"
        "  netlab capture nat -w lab.pcapng --seconds 10"
    )
    parser.add_argument("lab", metavar="LAB", nargs="?", help="may be left out if only one runs")
    parser.add_argument("-w", dest="file", metavar="FILE", help="write a pcapng file")
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after so long")
    parser.set_defaults(run=_capture)


def _capture(arguments: argparse.Namespace) -> int:
    lab = labs.Lab.attach(arguments.lab)
    # Where it cannot be written is said before anything is watched.
    file = CaptureFile(arguments.file) if arguments.file else None
    with Until(arguments.seconds) as until, lab.observe() as watch:
        ends = "" if arguments.seconds is not None else "; Ctrl-C ends it"
        print(f"watching {len(lab.nodes)} nodes{ends}", file=sys.stderr)
        if file:
            _write(watch, file, until)
        else:
            _show(watch, until)
    if file:
        file.close()
        print(f"{arguments.file}: {file.frames} frames of {file.packets} packets")
    return 0


def _write(watch: Watch, file: CaptureFile, until: Until) -> None:
    while not until.is_over():
        time.sleep(watch.tick)
        file.write(watch.step(all_frames=True))
    file.write(watch.step(all_frames=True, is_last=True))
    if any(watch.let_go):
        print(watch.let_go, file=sys.stderr)


def _show(watch: Watch, until: Until) -> None:
    from netlab.trace.build import label
    from netlab.wire.view import frame_view

    shown = said = 0
    while not until.is_over():
        time.sleep(REST)
        for frame in watch.take_frames():
            packet = frame_view(frame.data, ethernet=frame.ethernet)
            what = label(packet) if packet else f"{frame.length} octets, not IP"
            place = f"{frame.node}:{frame.interface}"
            print(f"{clock(frame.time_ns)} {place:<20} {frame.direction:<3} {what}")
            shown += 1
        sys.stdout.flush()
        missed = watch.missed()
        if missed > said:
            print(f"{missed - said} frames came faster than they are shown", file=sys.stderr)
            said = missed


def clock(time_ns: int) -> str:
    """The time of day, to the nanosecond."""
    return f"{time.strftime('%H:%M:%S', time.localtime(time_ns // 10**9))}.{time_ns % 10**9:09}"
