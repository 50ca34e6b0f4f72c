"""The pcapng file, read back by tshark."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from netlab.capture.evidence import Evidence
from netlab.diagram.pcapng import blocks
from netlab.trace.build import build_traces
from tests import programs
from tests.trace.path import Tape, datagram

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = ("frame.interface_name", "frame.time_epoch", "frame.len", "frame.comment", "udp.srcport")


def tshark(file: Path, *arguments: str) -> str:
    programs.find("tshark")
    ran = subprocess.run(
        ["tshark", "-r", str(file), *arguments], capture_output=True, text=True, check=True
    )
    return ran.stdout


def rows(file: Path) -> list[list[str]]:
    wanted = [word for field in FIELDS for word in ("-e", field)]
    return [line.split("\t") for line in tshark(file, "-T", "fields", *wanted).splitlines()]


def test_tshark_reads_interfaces_times_and_comments(tmp_path):
    tape = Tape()
    tape.pass_through(datagram(b"first"))
    tape.pass_through(datagram(b"second"), until=2)
    evidence = tape.evidence()
    file = tmp_path / "lab.pcapng"
    file.write_bytes(b"".join(blocks(evidence, build_traces(evidence))))
    read = rows(file)
    assert len(read) == 8
    for row, frame in zip(read, evidence.frames, strict=True):
        assert row[0] == f"{frame.node}:{frame.interface}"
        seconds, _, nanoseconds = row[1].partition(".")
        assert int(seconds) * 10**9 + int(nanoseconds) == frame.time_ns
        assert int(row[2]) == frame.length
    assert read[2][3] == (
        "#1 delivered in server: reached its destination"
        "; here IP::Src 10.0.0.2 -> 203.0.113.2, IP::TTL 64 -> 63"
    )
    assert read[7][3] == "#2 unknown in nat: never left nat; nobody saw why"


def test_what_was_cut_short_says_how_long_it_was(tmp_path):
    tape = Tape()
    tape.see(("client", "eth0", "out"), datagram(bytes(400)))
    [frame] = tape.frames
    evidence = Evidence({}, (frame._replace(data=frame.data[:100]),))
    file = tmp_path / "short.pcapng"
    file.write_bytes(b"".join(blocks(evidence)))
    [packet] = json.loads(tshark(file, "-T", "json", "-J", "frame"))
    layers = packet["_source"]["layers"]["frame"]
    assert (layers["frame.len"], layers["frame.cap_len"]) == (str(frame.length), "100")


def test_frames_of_a_tun_device_are_ip_alone(tmp_path):
    tape = Tape()
    tape.see(("client", "tun0", "out"), datagram(b"x"))
    [frame] = tape.frames
    raw = frame._replace(data=frame.data[14:], length=frame.length - 14, ethernet=False)
    file = tmp_path / "tun.pcapng"
    file.write_bytes(b"".join(blocks(Evidence({}, (raw, frame._replace(interface="eth0"))))))
    assert [row[4] for row in rows(file)] == ["4000", "4000"]


def test_nothing_is_a_file_too(tmp_path):
    file = tmp_path / "empty.pcapng"
    file.write_bytes(b"".join(blocks(Evidence({}))))
    assert tshark(file) == ""
