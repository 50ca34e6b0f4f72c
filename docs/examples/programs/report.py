"""What a program did with a packet, to whoever observes its node."""

import contextlib
import json
import socket

reports = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
reports.settimeout(0.05)


def report(device, packet, **said):
    text = json.dumps({"device": device, "packet": packet[:128].hex(), **said}).encode()
    for number in range(4):
        with contextlib.suppress(OSError):  # no one observes
            reports.sendto(text, f"\0netlab/packets/{number}")
