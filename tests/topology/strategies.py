"""Random topologies for hypothesis: valid ones, and ones that something is wrong with.

A valid one is drawn as a tree of routers with LANs, hosts and stacks, some of it behind NATs (and
NATs behind those), sometimes with a second way round. ``Drawn.realm`` says what the
drawing knows and the resolver has to find out: behind which NATs a node stands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from netlab.topology.form import CHILDREN

VERDICTS = ("accept", "drop", "reject")
MATCHES = ("", "tcp", "tcp/80,443", "udp/53", "icmp", "protocol 255", "established", "new")


@dataclass
class Drawn:
    """A topology file as data, and the NATs that each node stands behind, outermost first."""

    file: dict[str, Any]
    realm: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The file; JSON is YAML."""
        return json.dumps(self.file, indent=1)


@st.composite
def topologies(draw: st.DrawFn, max_routers: int = 5, *, stacks: bool = True) -> Drawn:
    """A valid topology of up to ``max_routers`` forwarding nodes and some hosts around each."""
    families = draw(st.sampled_from([["ipv4"], ["ipv4", "ipv6"], ["ipv6"]]))
    drawn = Drawn({"defaults": {"families": families}, "nodes": {}, "links": []})
    if draw(st.booleans()):
        drawn.file["defaults"]["neighbours"] = "dynamic"
    kinds = ["router", "nat"] if "ipv4" in families else ["router"]
    routers: list[str] = []
    for number in range(draw(st.integers(1, max_routers))):
        kind = draw(st.sampled_from(kinds)) if routers else "router"
        above = draw(st.sampled_from(routers)) if routers else ""
        name = f"{kind}{number}"
        routers.append(name)
        node: dict[str, Any] = {"kind": kind}
        drawn.file["nodes"][name] = node
        inside = drawn.realm.get(above, ())
        drawn.realm[name] = (*inside, name) if kind == "nat" else inside
        if kind == "nat":
            node["outside"] = "upward"
        if above:
            _link(draw, drawn, f"{name}:upward", f"{above}:down{number}")
        _around(draw, drawn, name, stacks=stacks)
        if draw(st.booleans()):
            node["firewall"] = {
                "forward": "accept",
                "rules": draw(st.lists(_rules(), max_size=3)),
            }
    _second_way(draw, drawn, routers)
    return drawn


def _around(draw: st.DrawFn, drawn: Drawn, router: str, *, stacks: bool) -> None:
    """Hosts, LANs and stacks on the links of one router."""
    nodes, realm = drawn.file["nodes"], drawn.realm[router]
    for number in range(draw(st.integers(1, 3))):
        what = draw(st.sampled_from(["host", "lan", "stack"] if stacks else ["host", "lan"]))
        name = f"{what}-{router}-{number}"
        drawn.realm[name] = realm
        port = f"{router}:to{number}"
        if what == "lan":
            # Behind different NATs the same subnet may stand, so there it does.
            ipv4_only = drawn.file["defaults"]["families"] == ["ipv4"]
            same = ipv4_only and router.startswith("nat") and number == 0
            nodes[name] = {
                "kind": "bridge",
                **({"subnet": f"192.168.{len(realm)}.0/24"} if same else {}),
            }
            drawn.file["links"].append([port, f"{name}:upward"])
            for h in range(draw(st.integers(1, 4))):
                host = f"h{h}-{name}"
                nodes[host] = {}
                drawn.realm[host] = realm
                drawn.file["links"].append([f"{host}:eth0", f"{name}:p{h}"])
        else:
            nodes[name] = {"kind": "stack"} if what == "stack" else {}
            _link(draw, drawn, f"{name}:eth0", port)


def _link(draw: st.DrawFn, drawn: Drawn, a: str, b: str) -> None:
    link: dict[str, Any] = {"ends": draw(st.permutations([a, b]))}
    if draw(st.booleans()):
        link["mtu"] = draw(st.integers(1280, 9000))
    drawn.file["links"].append(link)


def _second_way(draw: st.DrawFn, drawn: Drawn, routers: list[str]) -> None:
    """A link between two routers of one realm, which have a path already."""
    pairs = [
        (a, b)
        for i, a in enumerate(routers)
        for b in routers[:i]
        if drawn.realm[a] == drawn.realm[b] and not a.startswith("nat")
    ]
    wanted: bool = draw(st.booleans())
    if pairs and wanted:
        a, b = draw(st.sampled_from(pairs))
        drawn.file["links"].append([f"{a}:extra1", f"{b}:extra2"])


def _rules() -> st.SearchStrategy[str]:
    return st.builds(
        lambda verdict, match: f"{verdict} {match}".strip(),
        st.sampled_from(VERDICTS),
        st.sampled_from(MATCHES),
    )


JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["10.0.0.0/8", "10.0.0.1", "::1", "fd00::/64", "router0", "router0:to0", "lo", "$(id)"]
    ),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)

KEYS = st.sampled_from(
    sorted({key for form, _ in CHILDREN.values() for key in form.described()} | {"nodes", "x"})
)


@st.composite
def broken_topologies(draw: st.DrawFn) -> str:
    """The text of a valid topology after one to four changes that know nothing of its meaning."""
    file = draw(topologies(3)).file
    for _ in range(draw(st.integers(1, 4))):
        _spoil(draw, file)
    text = json.dumps(file, indent=draw(st.sampled_from([None, 1])))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 10))
        text = text[:at] + draw(st.text(max_size=5)) + text[at + length :]
    return text


def _spoil(draw: st.DrawFn, file: dict[str, Any]) -> None:
    """Replace, remove or add one value somewhere."""
    holder: Any = file
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        if not isinstance(holder[key], (dict, list)) or draw(st.integers(0, 3)) == 0:
            break
        holder = holder[key]
    match draw(st.sampled_from(["replace", "remove", "add"])):
        case "remove":
            del holder[key]
        case "add" if isinstance(holder, dict):
            holder[draw(KEYS)] = draw(JUNK)
        case _:
            holder[key] = draw(JUNK)
