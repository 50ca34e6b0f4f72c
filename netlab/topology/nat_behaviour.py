"""The ``nat:`` of the file, where it describes a behaviour -> Translator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.topology import presets
from netlab.topology.nat import Timeouts, Translator, problems
from netlab.topology.problems import nearest

if TYPE_CHECKING:
    from netlab.topology.builder import TopologyBuilder, Wiring
    from netlab.topology.schema import NatForm

FIELDS = (
    "mapping",
    "filtering",
    "ports",
    "port_range",
    "port_step",
    "port_counter",
    "port_block",
    "pooling",
    "hairpinning",
    "inbound_refresh",
    "icmp_errors",
    "unknown_protocols",
    "unsolicited",
    "ipv6",
    "sessions_per_subscriber",
    "preset",
)


def translator(
    builder: TopologyBuilder, wiring: Wiring, name: str, interface: str
) -> Translator | None:
    """What the NAT is at one outside interface: the preset, and over it what the file says."""
    form = builder.form.nodes[name].nat
    assert form is not None
    path = ("nodes", name, "nat")
    given: dict[str, Any] = {}
    if form.preset is not None:
        preset = _preset(builder, form.preset, (*path, "preset"))
        if preset is None:
            return None
        given = behaviour(preset.nat)
    own = behaviour(form)
    if "timeouts" in given and "timeouts" in own:
        own["timeouts"] = given["timeouts"] | own["timeouts"]
    symmetric = "address-and-port-dependent"
    is_chosen = "ports" in own or (given.get("mapping") == symmetric and "ports" in given)
    given |= own
    if given.get("mapping") == symmetric and not is_chosen:
        # The one assignment that such a mapping can have: whoever names the mapping means it.
        given["ports"] = "random"
    given["timeouts"] = Timeouts(**given.get("timeouts", {}))
    end = wiring.end(name, interface)
    assert end is not None
    if not _are_owned(builder, wiring, name, interface):
        return None
    has = [a.ip for a in end.addresses if a.version == 4]
    wanted = tuple(a for a in form.addresses if a in has) or tuple(has[:1])
    if not wanted and name in builder.incomplete:
        return None
    made = Translator(interface, wanted, **given, origin=builder.origin_key(*path))
    before = len(builder.problems)
    for problem in problems(made):
        builder.problems.add("E265", problem.message, builder.at(*path, problem.key), problem.hint)
    return None if len(builder.problems) > before else made


def _preset(
    builder: TopologyBuilder, name: str, path: tuple[str | int, ...]
) -> presets.Preset | None:
    """A preset that ships, or that of a file, seen from the topology's directory."""
    known = presets.names()
    if name in known:
        return presets.load(name)
    if presets.is_file(name):
        try:
            return presets.load_file(Path(builder.problems.file).parent / name)
        except ValueError as error:
            hint = "`netlab preset home-router` prints such a file, `netlab nat probe` writes one"
            builder.problems.add("E266", f"preset file {name}: {error}", builder.at(*path), hint)
            return None
    builder.problems.add(
        "E266", f"unknown preset `{name}`", builder.at(*path), nearest(name, known)
    )
    return None


def behaviour(form: NatForm) -> dict[str, Any]:
    """What a form says of the behaviour, as fields of a Translator; timeouts still as a dict."""
    given = {f: getattr(form, f) for f in FIELDS if getattr(form, f) is not None}
    if form.timeouts:
        given["timeouts"] = form.timeouts.model_dump(exclude_none=True)
    return given


def _are_owned(builder: TopologyBuilder, wiring: Wiring, name: str, interface: str) -> bool:
    form = builder.form.nodes[name].nat
    assert form is not None
    owned = {a.ip for e in wiring.by_node[name] for a in e.addresses}
    good = True
    for i, address in enumerate(form.addresses):
        if address.version != 4:
            message = f"{address} is not an IPv4 address"
        elif address not in owned:
            message = f"no node has the outside address {address}"
        else:
            continue
        good = False
        if name not in builder.incomplete:
            builder.problems.add(
                "E265",
                message,
                builder.at("nodes", name, "nat", "addresses", i),
                f"it must be a free address of the subnet of {name}:{interface}",
            )
    return good
