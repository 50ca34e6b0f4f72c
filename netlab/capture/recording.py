"""Evidence as a file: one JSON object to a line, octets in hexadecimal.

A recorded observation can be judged again later, elsewhere and without a kernel.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from netlab.capture.evidence import (
    BoxAction,
    BoxEvent,
    Count,
    Evidence,
    Flow,
    FlowEvent,
    Frame,
    Gap,
    Interface,
    KernelDrop,
    NodeInfo,
    PacketReport,
    RefusingRoute,
    RuleVerdict,
    TunProgram,
)
from netlab.errors import Diagnostic, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_KINDS: dict[str, Any] = {
    "frame": Frame,
    "verdict": RuleVerdict,
    "drop": KernelDrop,
    "flow": FlowEvent,
    "count": Count,
    "box_event": BoxEvent,
    "gap": Gap,
    "route": RefusingRoute,
    "report": PacketReport,
    "tun_program": TunProgram,
}


def write(evidence: Evidence) -> Iterator[str]:
    """The lines of a file, without their ends."""
    for node, place in evidence.inventory.items():
        interfaces = [
            {**i._asdict(), "addresses": [a.hex() for a in i.addresses], "mac": i.mac.hex()}
            for i in place.interfaces
        ]
        yield json.dumps({"place": node, **place._asdict(), "interfaces": interfaces})
    if evidence.arrivals_only:
        yield json.dumps({"arrivals_only": True})
    for kind, records in (
        ("frame", evidence.frames),
        ("verdict", evidence.verdicts),
        ("drop", evidence.drops),
        ("flow", evidence.flows),
        ("count", evidence.counts),
        ("box_event", evidence.box_events),
        ("gap", evidence.gaps),
        ("route", evidence.routes),
        ("report", evidence.reports),
        ("tun_program", evidence.tun_programs),
    ):
        for record in records:
            plain = {name: _plain(value) for name, value in record._asdict().items()}
            yield json.dumps({kind: plain})


def read(lines: Iterable[str], file: str = "evidence") -> Evidence:
    """The evidence of such a file.

    Raises:
        InputError: the file is not such a file
         the line is named.
    """
    places: dict[str, NodeInfo] = {}
    arrivals_only = False
    found: dict[str, list[Any]] = {kind: [] for kind in _KINDS}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            if "arrivals_only" in entry:
                arrivals_only = bool(entry["arrivals_only"])
            elif "place" in entry:
                places[entry["place"]] = _place(entry)
            else:
                [(kind, fields)] = entry.items()
                read_one = _SPECIAL.get(kind) or partial(_record, _KINDS[kind])
                found[kind].append(read_one(fields))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            message = f"{file}:{number}: not a record of evidence: {error}"
            raise InputError(Diagnostic("E501", message)) from None
    return Evidence(
        places,
        tuple(found["frame"]),
        tuple(found["verdict"]),
        tuple(found["drop"]),
        tuple(found["count"]),
        tuple(found["gap"]),
        tuple(found["flow"]),
        arrivals_only,
        tuple(found["box_event"]),
        tuple(found["route"]),
        tuple(found["report"]),
        tuple(found["tun_program"]),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


_OCTETS = frozenset({"data", "headers"})
_FLOWS = frozenset({"original", "reply"})


def _record(kind: Any, fields: dict[str, Any]) -> Any:
    return kind(**{name: _read(name, value) for name, value in fields.items()})


def _read(name: str, value: Any) -> Any:
    if name in _OCTETS:
        return bytes.fromhex(value)
    if name in _FLOWS:
        source, destination, *rest = value
        return Flow(bytes.fromhex(source), bytes.fromhex(destination), *rest)
    return value


def _passed(end: list[str]) -> tuple[str, bytes]:
    interface, octets = end
    return interface, bytes.fromhex(octets)


def _box_event(fields: dict[str, Any]) -> BoxEvent:
    return BoxEvent(
        fields["node"],
        _passed(fields["came"]) if fields["came"] else None,
        tuple(BoxAction(*action) for action in fields["actions"]),
        tuple(_passed(end) for end in fields["left"]),
    )


def _report(fields: dict[str, Any]) -> PacketReport:
    came = _passed(fields["came"]) if fields["came"] else None
    left = tuple(_passed(end) for end in fields["left"])
    return PacketReport(**{**fields, "came": came, "left": left})


_SPECIAL: dict[str, Any] = {"box_event": _box_event, "report": _report}


def _place(entry: dict[str, Any]) -> NodeInfo:
    return NodeInfo(
        entry["kind"],
        tuple(
            Interface(
                i["name"],
                i["kind"],
                tuple(bytes.fromhex(a) for a in i["addresses"]),
                tuple(i["peer"]) if i["peer"] else None,
                bytes.fromhex(i.get("mac", "")),
            )
            for i in entry["interfaces"]
        ),
        tuple(entry["boxes"]),
    )
