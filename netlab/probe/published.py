"""What HDP's author published and netlab cannot compute: the table of macOS on loopback."""

from __future__ import annotations

import csv
import re
from importlib import resources
from typing import TYPE_CHECKING

from netlab.hdp import numbers
from netlab.probe.rows import Row, Sweep

if TYPE_CHECKING:
    from netlab.probe.rows import Outcome

SOURCE = "published by HDP's author, not measured here"

_ERRNO = re.compile(r"\(os error (\d+)\)")


def macos() -> Sweep:
    """The arguments 0 ... 256, one packet each; errors are errno numbers of macOS.

    The published table has 255 twice, so it has it twice here.
    """
    text = resources.files("netlab.probe").joinpath("data/darwin_loopback.csv").read_text("utf-8")
    return Sweep(4, 1, tuple(_row(line) for line in csv.DictReader(text.splitlines())))


def _row(line: dict[str, str]) -> Row:
    argument = int(line["proto"])
    sent, received = int(line["sent_ok_client"]), int(line["received_server"])
    code = _ERRNO.search(line["error"])
    outcome: Outcome = "received" if received else "lost" if sent else "unsent"
    meaning = {"received": "received", "lost": "sent and never received", "unsent": line["error"]}
    return Row(
        argument=argument,
        protocol=numbers.on_the_wire(argument) if sent else None,
        socket_error=int(code[1]) if code else None,
        send_error=None,
        sent=sent,
        on_wire=sent,
        arrived=received,
        received=received,
        reply=None,
        latency_us=float(line["latency_us"]) if line["latency_us"] else None,
        outcome=outcome,
        reason=meaning[outcome],
        length=int(line["bytes_server"]) if line["bytes_server"] else None,
    )
