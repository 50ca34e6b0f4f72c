from __future__ import annotations

import contextlib
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.hdp import capture
from netlab.hdp.capture import Captured
from netlab.wire import Malformed, hdp, ipv4, ipv6
from netlab.wire import pcapng as writer
from netlab.wire.address import packed
from tests.programs import needs

PACKET4 = ipv4.encode(
    ipv4.Header(packed("192.0.2.1"), packed("192.0.2.2"), 200), hdp.encode(hdp.Header(5), b"moo")
)
PACKET6 = ipv6.encode(
    ipv6.Header(packed("2001:db8::1"), packed("2001:db8::2"), 200), hdp.encode(hdp.Header(5))
)
ETHERNET = b"\0" * 12 + b"\x08\0"
WHEN = 1_739_303_387_714_244_761

ORDERS = st.sampled_from(["<", ">"])


def pcap(order: str, magic: int, link: int, records: list[tuple[int, bytes]], unit: int) -> bytes:
    content = struct.pack(f"{order}IHHIIII", magic, 2, 4, 0, 0, 65535, link)
    for time, frame in records:
        seconds, rest = divmod(time, 1_000_000_000)
        content += (
            struct.pack(f"{order}IIII", seconds, rest // unit, len(frame), len(frame)) + frame
        )
    return content


def block(order: str, kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    length = len(body) + 12
    return struct.pack(f"{order}II", kind, length) + body + struct.pack(f"{order}I", length)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def pcapng(
    order: str, link: int, resolution: int | None, records: list[tuple[int, bytes]]
) -> bytes:
    content = block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))
    description = struct.pack(f"{order}HHI", link, 0, 0) + option(order, 2, b"eth0")
    if resolution is not None:
        description += option(order, 9, bytes([resolution]))
    content += block(order, 1, description + option(order, 0, b""))
    ticks = 10 ** (6 if resolution is None else resolution)
    for time, frame in records:
        stamp = time * ticks // 1_000_000_000
        head = struct.pack(
            f"{order}IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), len(frame)
        )
        content += block(order, 6, head + frame)
    return content


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_pcap_in_both_orders_and_resolutions(order: str, magic: int, unit: int) -> None:
    content = pcap(order, magic, 101, [(WHEN, PACKET4), (WHEN, PACKET6)], unit)
    time = WHEN // unit * unit
    assert list(capture.read(content)) == [Captured(time, PACKET4), Captured(time, PACKET6)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("resolution", "unit"), [(None, 1000), (6, 1000), (9, 1), (3, 10**6)])
def test_pcapng_in_both_orders_and_any_resolution(
    order: str, resolution: int | None, unit: int
) -> None:
    content = pcapng(order, 101, resolution, [(WHEN, PACKET4)])
    assert list(capture.read(content)) == [Captured(WHEN // unit * unit, PACKET4)]


@pytest.mark.parametrize(
    ("link", "head"),
    [
        (1, ETHERNET),
        (1, b"\0" * 12 + b"\x81\0\0\x05\x08\0"),
        (0, b"\2\0\0\0"),
        (113, b"\0" * 16),
        (276, b"\0" * 20),
    ],
)
def test_link_headers_are_taken_off(link: int, head: bytes) -> None:
    content = pcap("<", 0xA1B23C4D, link, [(WHEN, head + PACKET4)], 1)
    assert [captured.packet for captured in capture.read(content)] == [PACKET4]


@pytest.mark.parametrize(
    ("link", "frame"),
    [(1, b"\0" * 12 + b"\x08\x06" + b"\0" * 28), (105, PACKET4), (1, b""), (101, b"\0" * 30)],
)
def test_what_is_not_ip_is_left_out(link: int, frame: bytes) -> None:
    assert list(capture.read(pcap("<", 0xA1B23C4D, link, [(WHEN, frame)], 1))) == []


def test_a_second_section_has_interfaces_of_its_own() -> None:
    content = pcapng("<", 1, 9, [(WHEN, ETHERNET + PACKET4)]) + pcapng(">", 101, 9, [(5, PACKET6)])
    assert list(capture.read(content)) == [Captured(WHEN, PACKET4), Captured(5, PACKET6)]


def test_a_simple_block_has_no_time() -> None:
    content = pcapng("<", 101, 9, []) + block("<", 3, struct.pack("<I", len(PACKET4)) + PACKET4)
    assert list(capture.read(content)) == [Captured(0, PACKET4)]


@given(st.integers(0, 500))
def test_a_file_that_is_cut_gives_the_packets_before_the_cut(cut: int) -> None:
    records = [(WHEN, PACKET4)] * 3
    for content in (
        pcap("<", 0xA1B23C4D, 101, records, 1),
        pcapng("<", 101, 9, records),
    ):
        shorter = content[: max(len(content) - cut, 24)]
        found = list(capture.read(shorter))
        assert found == [Captured(WHEN, PACKET4)] * len(found)
        assert (len(found) == 3) == (cut == 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "too short"),
        (b"GIF89a..", "neither pcap nor pcapng"),
        (struct.pack("<I", 0xA1B2C3D4) + b"\0" * 10, "shorter than a pcap file header"),
        (pcapng("<", 101, 9, []) + struct.pack("<II", 6, 7) + b"\0" * 8, "a pcapng block of 7"),
        (pcapng("<", 101, 9, []) + block("<", 6, b"\0" * 8), "packet block that is too short"),
        (pcapng("<", 101, 9, []) + block("<", 1, b"\0\0"), "interface block that is too short"),
        (
            pcapng("<", 101, 9, []) + block("<", 6, struct.pack("<IIIII", 7, 0, 0, 0, 0)),
            "interface 7, which no block describes",
        ),
    ],
)
def test_a_bad_file_says_what_is_wrong(content: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        list(capture.read(content))


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x0a\x0d\x0d\x0a", b"\xd4\xc3\xb2\xa1"]))
def test_any_file_is_read_or_refused(content: bytes, magic: bytes) -> None:
    with contextlib.suppress(Malformed):
        list(capture.read(magic + content))


def test_what_netlab_writes_it_reads() -> None:
    content = writer.section() + writer.interface(writer.LINKTYPE_RAW)
    content += writer.packet(0, 1_500_000_000, PACKET4, comment="a comment")
    assert list(capture.read(content)) == [Captured(1_500_000_000, PACKET4)]


@needs("tshark")
def test_the_dissector_reads_what_the_codec_writes(tmp_path: Path) -> None:
    lua = Path(capture.__file__).parent / "data" / "hdp.lua"
    sent = 1_739_303_387_000_000_000
    packets = [
        ipv4.encode(
            ipv4.Header(packed("192.0.2.1"), packed("192.0.2.2"), number),
            hdp.encode(hdp.Header(sent, 420, 421), b"moo"),
        )
        for number in (146, 200, 253)
    ]
    short = ipv4.encode(ipv4.Header(packed("192.0.2.1"), packed("192.0.2.2"), 200), b"too short")
    file = tmp_path / "run.pcap"
    records = [(sent + 250_000, packet) for packet in (*packets, short)]
    file.write_bytes(pcap("<", 0xA1B23C4D, 101, records, 1))
    fields = ("hdp.srcport", "hdp.dstport", "hdp.sent", "hdp.latency", "hdp.data", "hdp.short")
    command = ["tshark", "-X", f"lua_script:{lua}", "-r", str(file), "-T", "fields"]
    for field in ("_ws.col.Protocol", *fields):
        command += ["-e", field]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    lines = [line.split("\t") for line in ran.stdout.splitlines()]
    for line in lines[:3]:
        assert line[:3] == ["HDP", "420", "421"]
        assert line[3].startswith("Feb 11, 2025 19:49:47")
        assert float(line[4]) == pytest.approx(250, abs=1)
        assert line[5] == b"moo".hex()
    assert lines[3][:2] == ["HDP", ""]
    assert lines[3][6]
