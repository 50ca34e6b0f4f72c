"""The rows of ``expected/boxes.yaml``, played: packets are sent, and what comes is compared."""

from __future__ import annotations

import re
import struct
import time
from typing import TYPE_CHECKING, Any

from netlab.middlebox.packet import Packet
from netlab.verify import crafted
from netlab.verify.check import Check
from netlab.verify.crafted import ends as ends_of
from netlab.verify.crafted import segment
from netlab.verify.seen import counted, fields, instead, matches, said
from netlab.verify.tap import SECONDS, NotMeasured
from netlab.wire import ipv4

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlab.verify.scene import Scene
    from netlab.verify.seen import Seen

OPTIONS = {
    "mss": 2, "window-scale": 3, "sack-permitted": 4, "sack": 5, "timestamps": 8,
    "mptcp": 30, "tfo": 34, "experiment-1": 253, "experiment-2": 254,
}  # fmt: skip
"""IANA, "TCP Option Kind Numbers"."""

DATA = 200
"""Octets of a datagram, so that an error can quote more than eight of them."""

FIRST = {"a": 1000, "b": 5000}
"""The initial sequence numbers of the two sides."""

_PART = re.compile(r"\{([^{}]+?)(?::(g))?\}")


def filled(value: Any, names: Mapping[str, Any]) -> Any:
    """Data with what is in braces worked out; the data are our own."""
    if isinstance(value, dict):
        return {k: filled(v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [filled(v, names) for v in value]
    if not isinstance(value, str):
        return value
    if _is_whole(value):
        return _worked_out(value[1:-1], names)

    def part(match: re.Match[str]) -> str:
        found = _worked_out(match[1], names)
        return f"{found:g}" if match[2] else str(found)

    return _PART.sub(part, value)


def _is_whole(text: str) -> bool:
    """Whether one pair of braces holds the whole text."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return at > 0 and at == len(text) - 1
    return False


def _worked_out(text: str, names: Mapping[str, Any]) -> Any:
    return eval(text, {"option_numbers": OPTIONS, **names})  # noqa: S307 - our own data


class Player:
    """Plays one row; ``names`` are the parameters of the box."""

    def __init__(self, scene: Scene, names: Mapping[str, Any]) -> None:
        self.scene = scene
        self.names: dict[str, Any] = dict(names)
        self.sport = scene.port()
        self.outside: tuple[str, int] | None = None
        self.last: Packet | None = None
        self.sent = self.came = 0
        self.wanted: list[str] = []
        self.found: list[str] = []

    def play(self, script: list[dict[str, Any]]) -> bool:
        """Whether every step was as expected; it ends with the first that was not."""
        for raw in script:
            step = filled(raw, self.names)
            if step.get("when", True) and not self._step(step):
                return False
        return True

    def _step(self, step: dict[str, Any]) -> bool:
        if "wait" in step:
            side = step.get("collect", "b")
            number = 0 if step.get("arrives") in (None, "nothing") else 1
            came = self._waited(side, number, SECONDS if number else step["wait"])
            return self._agrees(step.get("arrives"), {}, came, f"after {step['wait']:g} s ")
        side = step["from"]
        other = "b" if side == "a" else "a"
        packets = self._packets(side, step)
        self.sent += len(packets)
        self.scene.send(side, *packets)
        if "within" in step:
            pieces = step["arrives"]["pieces"]
            here = self.scene.take(other)
            arrived = self._mine(here)
            if len(arrived) < len(pieces):
                arrived += self._waited(other, len(pieces) - len(arrived), SECONDS)
        else:
            arrived = self._mine(self.scene.take(other))
        back = self._mine(self.scene.take(side))
        self._remember(side, arrived, step)
        return self._judged(step, packets, arrived, back)

    def _waited(self, side: str, number: int, seconds: float) -> list[Packet]:
        """So many packets of this row, or what has come in time; others may come between."""
        end = time.monotonic() + seconds
        came: list[Packet] = []
        while True:
            self.scene.wait(side, number, max(end - time.monotonic(), 0))
            came += self._mine(self.scene.take(side))
            if len(came) >= number > 0 or time.monotonic() >= end:
                return came

    def _judged(
        self, step: dict[str, Any], packets: list[Packet], arrived: list[Packet], back: list[Packet]
    ) -> bool:
        sent = fields(packets[0])
        if "later-fragments" in step:
            later = [p for p in arrived if isinstance(p.ip, ipv4.Header)
                     and (p.ip.fragment_offset or len(p.upper) > 600)]  # fmt: skip
            return self._agrees("nothing", sent, later, "of the second fragment ")
        if "last" in step:
            whole = [p for p in arrived if not _is_reset(p)]
            good = self._agrees(step["last"], sent, [p for p in arrived if _is_reset(p)])
            wanted = "unchanged" if step["passes"] else "nothing"
            return (
                good
                and self._agrees(wanted, sent, whole, "and of the segment ")
                and self._agrees(step["back"], sent, back, "back: ")
            )
        for what in ("lost", "twice"):
            if what in step:
                rule = step[what]
                number = rule["number"]
                wanted = f"{number} of each {rule['of-each']} {what}" if number else f"none {what}"
                found = counted([fields(p) for p in arrived], len(packets), rule, what)
                self.wanted.append(wanted)
                self.found.append(found)
                return wanted == found
        good = self._agrees(step.get("arrives"), sent, arrived)
        return good and self._agrees(step.get("back"), sent, back, "back: ")

    def _agrees(self, expected: Any, sent: Seen, came: list[Packet], prefix: str = "") -> bool:
        if expected is None:
            return True
        seen = [fields(p, self.scene.hops) for p in came]
        good = matches(expected, sent, seen)
        wanted = prefix + said(expected)
        self.wanted.append(wanted)
        self.found.append(wanted if good else prefix + instead(expected, sent, seen))
        return good

    def _mine(self, packets: list[Packet]) -> list[Packet]:
        """Those that belong to this row: of its ports, or of its hosts where there are none."""
        hosts = {self.scene.a, self.scene.b}
        found = []
        for p in packets:
            (a, a_port), (b, b_port) = crafted.about(p) or ends_of(p)
            ports = {a_port, b_port}
            mine = self.sport in ports or (self.outside and self.outside[1] in ports)
            if not (hosts & {a, b}) or not (mine or ports == {0}):
                continue
            found.append(p)
        self.came += len(found)
        return found

    def _remember(self, side: str, arrived: list[Packet], step: dict[str, Any]) -> None:
        if not arrived:
            return
        self.last = arrived[0]
        seen = fields(arrived[0], self.scene.hops)
        self.names["seen"] = seen
        if side == "a" and self.names.get("own") is None and "seq" in seen:
            self.names["own"] = seen
        if side == "a" and not step.get("to"):
            self.outside = ends_of(arrived[0])[0]

    # Making packets.

    def _packets(self, side: str, step: dict[str, Any]) -> list[Packet]:
        if "fragments" in step:
            return self._fragments(step)
        times = int(step.get("times", step.get("back-to-back", 1)))
        numbered = "times" in step
        return [self._packet(side, step, n if numbered else 0, n) for n in range(times)]

    def _packet(self, side: str, step: dict[str, Any], number: int, place: int) -> Packet:
        port = int(step.get("port", 80 if "tcp" in step else 5000))
        near = (self.scene.a, self.sport)
        far = (step.get("to", self.scene.b), port)
        source, target = near, far
        if side == "b":
            source, target = far, self.outside or near
            if step.get("new"):
                source, target = (self.scene.b, self.sport), (self.scene.a, port)
        ip: dict[str, Any] = {"traffic_class": step.get("dscp", 0) << 2 | step.get("ecn", 0)}
        if "ttl" in step:
            ip["ttl"] = step["ttl"]
        identification = step.get("id", number + 1 if "times" in step else 0)
        if identification:
            ip["identification"] = identification
        if "tcp" in step:
            return self._segment(side, step, (source, target), place, ip)
        if "query" in step:
            return crafted.datagram(source, (target[0], 53), _query(step["query"]), **ip)
        if "quic" in step:
            return crafted.datagram(source, target, _initial(int(step["quic"])), **ip)
        if "udp" in step:
            data = str(step["udp"]).encode().ljust(DATA, b"\0")
            return crafted.datagram(source, target, data, **ip)
        if "icmp" in step:
            if step["icmp"] == "echo":
                return crafted.echo(source[0], target[0], self.sport)
            return self._error(step["icmp"])
        return crafted.other(source[0], target[0], int(step["protocol"]))

    def _error(self, what: dict[str, Any]) -> Packet:
        if self.last is None:
            raise NotMeasured("nothing arrives that an error could be about")
        octets = 20 + what.get("quote", DATA)
        if what.get("spoil"):
            wrong = bytearray(self.last.octets)
            wrong[10] ^= 0xFF
            return crafted.error(self.scene.b, Packet(bytes(wrong)), kind=3, code=3, octets=octets)
        return crafted.error(self.scene.b, self.last, kind=what["type"], code=what["code"],
                             rest=what.get("rest", 0), octets=octets)  # fmt: skip

    def _segment(
        self,
        side: str,
        step: dict[str, Any],
        ends: tuple[tuple[str, int], tuple[str, int]],
        place: int,
        ip: dict[str, Any],
    ) -> Packet:
        flags = step["tcp"]
        other = "b" if side == "a" else "a"
        data = _hello(step["hello"]) if "hello" in step else step.get("data", "").encode()
        data = data or bytes([0x61] * step.get("data-length", 0))
        seq = step.get("seq", FIRST[side] + ("S" not in flags) + place * len(data))
        ack = step.get("ack", FIRST[other] + 1 if "A" in flags else 0)
        mss = step.get("mss", 1460 if "S" in flags else None)
        octets = b""
        if mss is not None and "S" in flags:
            octets += bytes([2, 4]) + int(mss).to_bytes(2, "big")
        if step.get("wscale") is not None and "S" in flags:
            octets += bytes([3, 3, step["wscale"]])
        if step.get("sackok") and "S" in flags:
            octets += bytes([4, 2])
        if step.get("ts"):
            octets += bytes([8, 10]) + b"".join(n.to_bytes(4, "big") for n in step["ts"])
        for left, right in step.get("sack") or ():
            octets += bytes([5, 10]) + left.to_bytes(4, "big") + right.to_bytes(4, "big")
        for kind in step.get("kinds") or ():
            octets += _option(kind)
        octets += bytes([1]) * (-len(octets) % 4)
        return segment(*ends, flags, data, seq=seq, ack=ack, options=octets,
                       window=step.get("window", 65535), **ip)  # fmt: skip

    def _fragments(self, step: dict[str, Any]) -> list[Packet]:
        source, target = (self.scene.a, self.sport), (self.scene.b, 5000)
        whole = crafted.datagram(source, target, str(step["udp"]).encode().ljust(800, b"\0"))
        header = whole.ip
        assert isinstance(header, ipv4.Header)
        body = bytes(whole.upper)
        plain = header._replace(flags=0, identification=self.sport)
        first = plain._replace(flags=ipv4.MORE_FRAGMENTS)
        second = plain._replace(fragment_offset=400)
        return [Packet(ipv4.encode(first, body[:400])), Packet(ipv4.encode(second, body[400:]))]


def _query(name: str) -> bytes:
    """A DNS query for an address (RFC 1035 section 4.1)."""
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    return struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def _initial(version: int) -> bytes:
    """The beginning of a QUIC packet with a long header (RFC 8999 section 5.1)."""
    return b"\xc3" + version.to_bytes(4, "big") + b"\x08" + bytes(8) + b"\0" + bytes(1180)


def _hello(name: str) -> bytes:
    """A TLS ClientHello that names a host (RFC 8446 section 4.1.2, RFC 6066 section 3)."""
    host = name.encode()
    names = struct.pack("!HBH", len(host) + 3, 0, len(host)) + host
    extension = struct.pack("!HH", 0, len(names)) + names
    body = (
        b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\1\0"
        + struct.pack("!H", len(extension)) + extension
    )  # fmt: skip
    message = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack("!H", len(message)) + message


def _option(kind: int) -> bytes:
    """An option with a value that suits its kind."""
    known = {2: b"\x05\x78", 3: b"\x07", 4: b"", 8: bytes(8)}
    value = known.get(kind, b"\0\1")
    return bytes([kind, 2 + len(value)]) + value


def _is_reset(packet: Packet) -> bool:
    return bool(packet.tcp and packet.tcp.flags & 4)


def play(
    scene: Scene, where: str, row: dict[str, Any], names: Mapping[str, Any], source: str
) -> Check | None:
    """One row; ``None`` if it does not concern a box with these parameters."""
    if not filled(row.get("when", True), names) and "unless" not in row:
        return None
    label = f"{names['kind']}: {filled(row['row'], names)}"
    if not filled(row.get("when", True), names):
        why = filled(row["unless"], names)
        return Check(where, label, "as its kind", None, why=why, source=source)
    for _ in range(row.get("tries", 1)):
        player = Player(scene, names)
        why = ""
        try:
            good = player.play(row["script"])
        except NotMeasured as error:
            good, why = False, str(error)
        if good:
            break
    how = f"{player.sent} packets sent, {player.came} came out"
    if why and player.wanted:
        why, player.found = "", [*player.found, "nothing to go on with"]
        player.wanted.append("")
    return Check(
        where, label, "; ".join(player.wanted), None if why else "; ".join(player.found), how,
        why, source,
    )  # fmt: skip
