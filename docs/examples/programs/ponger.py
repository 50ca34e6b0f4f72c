"""A program at the TUN device of a stack node: it answers pings and nothing else."""

import fcntl
import os
import struct

from report import report

tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"tun0", 0x1001))  # TUNSETIFF, no header

while True:
    packet = os.read(tun, 65536)
    header = (packet[0] & 15) * 4
    if packet[0] >> 4 != 4 or packet[9] != 1 or packet[header] != 8:
        report("tun0", packet, end="no-listener", text="only pings are answered")
        continue
    # The addresses change places: no checksum changes by that. An echo reply has type 0, not 8.
    (total,) = struct.unpack_from("!H", packet, header + 2)
    total += 0x800
    answer = (
        packet[:12] + packet[16:20] + packet[12:16] + packet[20:header]
        + struct.pack("!BBH", 0, 0, (total & 0xFFFF) + (total >> 16)) + packet[header + 4 :]
    )  # fmt: skip
    report("tun0", packet, end="delivered", sent=[answer[:128].hex()])
    os.write(tun, answer)
