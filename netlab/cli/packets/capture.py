"""``capture``: watch every interface, live or into a file."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli.packets.target import unwritable, write
from netlab.lab import lab as labs

if TYPE_CHECKING:
    import argparse

    from netlab.trace.watch import Watch


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
        # A path that cannot be written should be reported before, not after.
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
        write(arguments.file, watch)
        frames, packets = len(watch.evidence.frames), len(watch.traces)
        print(f"{arguments.file}: {frames} frames of {packets} packets")
    return 0


def _try(path: str) -> None:
    try:
        with Path(path).open("ab"):
            pass
    except OSError as error:
        raise unwritable(path, error) from None


def _show(watch: Watch) -> None:
    from netlab.trace.build import label
    from netlab.wire.view import frame_view

    for frame in watch.live():
        packet = frame_view(frame.data, ethernet=frame.ethernet)
        what = label(packet) if packet else f"{frame.length} octets, not IP"
        clock = time.strftime("%H:%M:%S", time.localtime(frame.time_ns // 10**9))
        place = f"{frame.node}:{frame.interface}"
        print(f"{clock}.{frame.time_ns % 10**9:09} {place:<20} {frame.direction:<3} {what}")
    sys.stdout.flush()
