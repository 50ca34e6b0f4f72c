from __future__ import annotations

import io
import warnings
from typing import Any

from netlab.wire import ipv4, pcapng


def test_scapy_reads_what_was_written() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from scapy.utils import RawPcapNgReader
    packets = [ipv4.encode(ipv4.Header(bytes(4), bytes(4), 253), bytes(n)) for n in (0, 1, 5, 1400)]
    octets = pcapng.section() + pcapng.interface(pcapng.LINKTYPE_RAW)
    octets += b"".join(
        pcapng.packet(0, 1_000_500_000_000 + n, p, comment="a word" if n % 2 else "")
        for n, p in enumerate(packets)
    )
    reader: Any = RawPcapNgReader  # its annotations know neither streams nor its own fields
    found = list(reader(io.BytesIO(octets)))
    assert [bytes(data) for data, _ in found] == packets
    for n, (_, meta) in enumerate(found):
        assert meta.linktype == pcapng.LINKTYPE_RAW
        assert meta.tshigh << 32 | meta.tslow == 1_000_500_000_000 + n
