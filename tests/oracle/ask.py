"""netlab, asked by its command line as a user would, and its JSON read as documented."""

import contextlib
import io
import json
import sys
from typing import Any, NamedTuple

from netlab.cli import main
from tests.oracle.truth import Answer, Said


class Flow(NamedTuple):
    """Packets that ``netlab explain`` sends."""

    source: str
    target: str
    protocol: str = "icmp"
    port: int = 0
    size: int = 0
    packets: int = 1
    six: bool = False
    listen: bool = False

    def words(self, lab: str) -> list[str]:
        """The arguments after ``netlab explain``."""
        words = [f"{lab}/{self.source}" if lab else self.source, self.target]
        words += ["--proto", self.protocol]
        for name, value in (("dport", self.port), ("size", self.size)):
            words += [f"--{name}", str(value)] if value else []
        words += ["--count", str(self.packets)] if self.packets > 1 else []
        return words + ["-6"] * self.six + ["--listen"] * self.listen


class Crafted(NamedTuple):
    """Packets, octet for octet, that ``netlab trace`` watches; the first is judged."""

    source: str
    target: str
    octets: str
    """In hexadecimal, from the IP header on."""
    six: bool = False
    packets: int = 1
    after: tuple[str, ...] = ()
    """Those that follow."""

    def words(self, lab: str) -> list[str]:
        """The command whose packets are watched, and where it runs."""
        domain = "AF_INET6" if self.six else "AF_INET"
        script = (
            f"import socket; s = socket.socket(socket.{domain}, socket.SOCK_RAW, 255);"
            f" [s.sendto(bytes.fromhex(octets), ({self.target!r}, 0))"
            f" for octets in {(self.octets, *self.after)!r}]"
        )
        return [f"{lab}/{self.source}" if lab else self.source, "--", sys.executable, "-c", script]


def command(*words: str) -> tuple[int, str]:
    """The exit code of ``netlab WORDS`` and what it prints, errors included."""
    printed = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(printed))
        if words[0] != "trace":  # which gives standard error to the command that it runs
            stack.enter_context(contextlib.redirect_stderr(printed))
        try:
            code = main(list(words))
        except SystemExit as left:  # argparse
            code = int(left.code or 0)
    return code, printed.getvalue()


def explain(lab: str, flow: Flow) -> Answer:
    """What ``netlab explain`` says of the packets that it sends."""
    words = flow.words(lab)
    code, printed = command("explain", "--json", *words)
    said = _read(printed, flow.packets)
    if said is None:
        # Nothing left the sender, so asking once more disturbs nothing: the sentence says why.
        _, sentence = command("explain", *words)
        never_left = "It never left: " in sentence
        text = sentence.strip()
        word = "" if never_left and "no capture saw it" not in sentence else "unknown"
        return Answer((Said(word, "", text),) * flow.packets, output=printed + sentence)
    packets = list(said)
    if all(packet.word == "" for packet in packets):
        return Answer(tuple(packets), output=printed)
    if packets[-1].word in ("fragmented", "segmented", "merged"):
        # The parts are not in the answer; the exit code says whether all of them arrived.
        last = packets[-1]
        packets[-1] = last._replace(word="delivered" if code == 0 else "unknown", node="")
    return Answer(tuple(packets), _reply(printed), output=printed)


def trace(lab: str, flow: Crafted) -> Answer:
    """What ``netlab trace`` says of the first packet that the sender sent."""
    _, printed = command("trace", "--json", *flow.words(lab))
    for packet in json.loads(printed)["packets"]:
        if packet["hops"] and packet["hops"][0]["node"] == flow.source:
            return Answer((_said(packet),), output=printed)
    return Answer((Said("unknown", "", "no packet"),), output=printed)


def predict(flow: Flow, *, lab: str = "", file: str = "") -> Answer:
    """What ``netlab explain --predict`` says, of a running lab or of a file."""
    words = ["--predict", "--json", *flow.words(lab)]
    _, printed = command("explain", *words, *(["--file", file] if file else []))
    said = _read(printed, flow.packets)
    return Answer(said or (Said("unknown", "", printed.strip()),) * flow.packets, output=printed)


def _read(printed: str, count: int) -> tuple[Said, ...] | None:
    """One word for each packet sent; ``None`` if the answer has none."""
    try:
        packets = json.loads(printed)["packets"]
    except ValueError:
        return None
    if not packets:
        return None
    if packets[0]["proto"] == 6 and len(packets) != count:
        # A SYN that is sent again is still the same attempt, known by its source port.
        tries: dict[str, list[dict[str, Any]]] = {}
        for packet in packets:
            tries.setdefault(_source(packet), []).append(packet)
        return tuple(_said(_decisive(group)) for group in tries.values())
    # A packet that left in pieces is as many entries as it has pieces.
    each, rest = divmod(len(packets), count)
    if rest or not each:
        return tuple(map(_said, packets))
    groups = [packets[n * each : (n + 1) * each] for n in range(count)]
    return tuple(_said(_decisive(group)) for group in groups)


def _source(packet: dict[str, Any]) -> str:
    """``10.0.0.1:4000`` of ``TCP 10.0.0.1:4000 > 10.0.0.2:80, SYN``."""
    before: str = packet["label"].partition(" > ")[0]
    return before.rpartition(" ")[2]


def _decisive(group: list[dict[str, Any]]) -> dict[str, Any]:
    died = [packet for packet in group if packet["disposition"] != "delivered"]
    return died[0] if died else group[-1]


def _reply(printed: str) -> Said | None:
    """The end of the answer to the last packet."""
    answers = json.loads(printed)["packets"][-1].get("answers", [])
    return _said(answers[0]) if answers else None


def _said(packet: dict[str, Any]) -> Said:
    reason = packet["reason"]
    if packet["disposition"] == "never-left":
        # The sender's own errno is an answer, silence is none.
        return Said("" if reason["text"] else "unknown", "", reason["text"])
    text = " ".join(filter(None, (reason["text"], reason["rule"], reason["topology"])))
    return Said(
        packet["disposition"], packet["where"]["node"], text, sure=reason["source"] != "inferred"
    )
