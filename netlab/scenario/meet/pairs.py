"""What there is on one side of a pair, and which pairs ``--pairs`` names."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from netlab.errors import Diagnostic, InputError
from netlab.topology import presets
from netlab.topology.problems import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

NONE, NAT64, FIREWALL = "none", "nat64", "ipv6-firewall"

IN_FRONT = "+"
"""``home-router+carrier-grade``: the first NAT is the host's own, the second its provider's."""

SPECIAL = {
    NONE: "a public address of both families",
    NAT64: "IPv6 alone, with a NAT64 at the provider",
    FIREWALL: "IPv6 behind a stateful firewall, and IPv4 behind a home router",
    f"home-router{IN_FRONT}carrier-grade": "a home router behind a carrier-grade NAT",
}
"""What a side may be besides a preset."""

CLASSIC = ("full-cone", "restricted-cone", "home-router", "symmetric")
"""The four kinds of RFC 3489 section 5, by their presets."""

ALIASES = {
    "address-restricted": "restricted-cone",
    "port-restricted": "home-router",
    "port-restricted-cone": "home-router",
}
"""The classic names of presets."""


class Pair(NamedTuple):
    """The sides of anna, who runs the first program, and of boris."""

    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.a}:{self.b}"


def sides() -> list[str]:
    """Everything that ``--pairs all`` puts on a side: the presets, then the special ones."""
    return [*presets.names(), *SPECIAL]


def pairs(text: str, option: str = "--pairs") -> list[Pair]:
    """The pairs that ``text`` names, in its order, each once.

    ``classic`` are the ten pairs of the four classic kinds, ``presets`` each preset with each, and
    ``all`` besides those each special side with every side once. A list has words such as
    ``symmetric:none``, where ``*`` is any sequence of characters, and a side alone is a pair with
    itself.

    Raises:
        InputError: a word names nothing (E931).
    """
    found: dict[Pair, None] = {}
    for word in text.replace(",", " ").split():
        found.update(dict.fromkeys(_pairs(word, option)))
    if not found:
        raise InputError(Diagnostic("E931", f"{option} names no pair", hint=_HINT))
    return list(found)


_HINT = "classic, presets, all, or a list as in home-router:symmetric,none:nat64"


def _pairs(word: str, option: str) -> Iterator[Pair]:
    if word == "classic":
        for number, one in enumerate(CLASSIC):
            yield from (Pair(one, other) for other in CLASSIC[number:])
        return
    if word in ("presets", "all"):
        known, special = presets.names(), list(SPECIAL)
        yield from (Pair(a, b) for a in known for b in known)
        if word == "all":
            for number, one in enumerate(special):
                yield from (Pair(one, other) for other in (*known, *special[number:]))
        return
    left, colon, right = word.partition(":")
    for a in _sides(left, option):
        for b in _sides(right, option) if colon else [a]:
            yield Pair(a, b)


def _sides(word: str, option: str) -> list[str]:
    word = ALIASES.get(word, word)
    known = sides()
    found = [side for side in known if fnmatchcase(side, word)]
    names = presets.names()
    if not found and IN_FRONT in word and all(n in names for n in word.split(IN_FRONT, 1)):
        found = [word]
    if not found and all(presets.is_file(n) or n in names for n in word.split(IN_FRONT, 1)):
        found = [word]
    if not found:
        near = nearest(word, [*known, *ALIASES])
        hint = near if near.startswith("did you") else f"{_HINT}; sides: {' '.join(known)}"
        raise InputError(Diagnostic("E931", f"{option}: nothing is called `{word}`", hint=hint))
    return found


ANNA, BORIS, SERVER = "anna", "boris", "server"
SERVER_ADDRESSES = ("198.51.100.10", "198.51.100.11", "2001:db8:5::10", "2001:db8:5::11")
PREFIXES = {"a": "64:ff9b::/96", "b": "64:ff9b:1:b::/96"}
"""The NAT64 prefix of each side: the well-known one (RFC 6052), one for local use (RFC 8215)."""


class Side(NamedTuple):
    """One side: the nodes and links between its host and the router ``internet``.

    ``families`` are those that the host has addresses of, ``nat64`` the prefix that IPv4 is
    reached by, if it is.
    """

    nodes: dict[str, Any]
    links: list[dict[str, Any]]
    families: tuple[int, ...]
    nat64: str = ""


def side(name: str, host: str, letter: str, number: int) -> Side:
    """The side called ``name`` of ``sides``, with ``host`` in it; ``letter`` keeps names apart."""
    nat = f"nat-{letter}"
    outer = [f"203.0.{112 + number}.0/24", f"2001:db8:{number}::/64"]
    inner = [f"192.168.{number}.0/24", f"2001:db8:{number}0::/64"]
    if name == NONE:
        links = [{"ends": [f"internet:{letter}", f"{host}:eth0"], "subnet": outer}]
        return Side({host: None}, links, (4, 6))
    if name == NAT64:
        node = {"kind": "nat", "outside": "wan", "nat": {"nat64": PREFIXES[letter]}}
        links = _chain(host, nat, letter, [inner[1]], outer)
        return Side({host: None, nat: node}, links, (6,), PREFIXES[letter])
    if name == FIREWALL:
        firewall = {"forward": "drop", "rules": ["accept established", "accept from lan"]}
        node = _nat("home-router") | {"firewall": firewall}
        return Side({host: None, nat: node}, _chain(host, nat, letter, inner, outer), (4, 6))
    own, _, front = name.partition(IN_FRONT)
    nodes = {host: None, nat: _nat(own)}
    if not front:
        return Side(nodes, _chain(host, nat, letter, inner[:1], outer[:1]), (4,))
    carrier = f"carrier-{letter}"
    links = [
        {"ends": [f"{nat}:lan", f"{host}:eth0"], "subnet": inner[:1]},
        {"ends": [f"{carrier}:lan", f"{nat}:wan"], "subnet": [f"100.64.{number}.0/24"]},
        {"ends": [f"internet:{letter}", f"{carrier}:wan"], "subnet": outer[:1]},
    ]
    return Side(nodes | {carrier: _nat(front)}, links, (4,))


def _nat(preset: str) -> dict[str, Any]:
    name = str(Path(preset).resolve()) if presets.is_file(preset) else preset
    return {"kind": "nat", "outside": "wan", "nat": {"preset": name}}


def _chain(
    host: str, nat: str, letter: str, inner: list[str], outer: list[str]
) -> list[dict[str, Any]]:
    return [
        {"ends": [f"{nat}:lan", f"{host}:eth0"], "subnet": inner},
        {"ends": [f"internet:{letter}", f"{nat}:wan"], "subnet": outer},
    ]


def topology(pair: Pair) -> dict[str, Any]:
    """The topology file of a pair, as data."""
    a, b = side(pair.a, ANNA, "a", 1), side(pair.b, BORIS, "b", 2)
    return {
        "name": "meet",
        "description": f"anna behind {pair.a}, boris behind {pair.b}, and a server in public.",
        "nodes": {**a.nodes, **b.nodes, "internet": {"kind": "router"}, SERVER: None},
        "links": [
            *a.links,
            *b.links,
            {
                "ends": ["internet:s", f"{SERVER}:eth0"],
                "subnet": ["198.51.100.0/24", "2001:db8:5::/64"],
                "addresses": {SERVER: list(SERVER_ADDRESSES)},
            },
        ],
    }
