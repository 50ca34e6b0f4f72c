"""The ``nptv6:`` of a NAT: one IPv6 prefix outside for another one inside (RFC 6296).

Each address has one counterpart, found by arithmetic alone: the prefix changes, and one 16-bit word
behind it makes up for the change, so that the checksum of no packet does. Where prefixes are of 48
bits or fewer that word is the subnet's number; else it is of the interface identifier (sections
3.4 and 3.5).
"""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Literal

from netlab.topology.addressing import network_place
from netlab.topology.builder import End, Lan
from netlab.topology.model import Nptv6
from netlab.wire.checksum import ones_complement_sum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.topology.builder import TopologyBuilder, Wiring
    from netlab.topology.model import Network
    from netlab.topology.schema import Nptv6Form

KEY: Literal["nptv6"] = "nptv6"
LONGEST = 64
SHORT = 48
"""The longest prefix behind which the number of the subnet, word 3, is free to change."""

_ALL_ONES = b"\xff\xff"


def counterpart(address: IPv6Address, old: IPv6Network, new: IPv6Network) -> IPv6Address | None:
    """What an address below ``old`` is below ``new``; ``None`` if it can be none.

    Both prefixes are of one length. The sum of the 16-bit words stays the same in ones' complement.
    """
    mask = int(old.netmask)
    moved = (int(new.network_address) | int(address) & ~mask).to_bytes(16, "big")
    at = changing_word(moved, old.prefixlen)
    if at is None:
        return None
    before, after = (ones_complement_sum(n.network_address.packed) for n in (old, new))
    word = ones_complement_sum(moved[at : at + 2], before + 0xFFFF - after)
    # Of the two zeros the positive one (section 3.1); all ones is kept for "no such subnet".
    changed = (0 if word == 0xFFFF else word).to_bytes(2, "big")
    return IPv6Address(moved[:at] + changed + moved[at + 2 :])


def changing_word(address: bytes, length: int) -> int | None:
    """The offset of the word that makes up for the change; ``None`` if all ones leave none."""
    candidates = (6,) if length <= SHORT else range(8, 16, 2)
    return next((at for at in candidates if address[at : at + 2] != _ALL_ONES), None)


def attach(builder: TopologyBuilder, wiring: Wiring) -> None:
    """Make the outside prefix of each such NAT one that can be sent to."""
    for name, node in builder.form.nodes.items():
        if node.kind != "nat" or node.nat is None or node.nat.nptv6 is None:
            continue
        form = node.nat.nptv6
        if not _are_prefixes(builder, name, form):
            continue
        end = End(name, "", link=-1, side=0)
        networks: dict[int, Network] = {6: form.outside}
        end.lan = Lan(len(wiring.lans), [end], networks=networks, behind=(name, KEY))
        wiring.lans.append(end.lan)
        wiring.by_node[name].append(end)


def _are_prefixes(builder: TopologyBuilder, name: str, form: Nptv6Form) -> bool:
    path = ("nodes", name, "nat", KEY)
    for key, prefix in (("inside", form.inside), ("outside", form.outside)):
        if not isinstance(prefix, IPv6Network):
            message, hint = f"{prefix} is not an IPv6 prefix", "such as fd00:1::/48"
        elif prefix.prefixlen > LONGEST:
            message = f"{prefix} is longer than {LONGEST} bits: NPTv6 (RFC 6296) has no such prefix"
            hint = "48 bits leave room for subnets"
        else:
            continue
        builder.problems.add("E265", message, builder.at(*path, key), hint)
        return False
    if form.inside.prefixlen != form.outside.prefixlen:
        builder.problems.add(
            "E265",
            f"{form.inside} and {form.outside} are of different lengths",
            builder.at(*path, "outside"),
            f"both prefixes must have the same length, here {form.inside.prefixlen}",
        )
        return False
    return True


def form_of(builder: TopologyBuilder, lan: Lan) -> Nptv6Form | None:
    """What the file says of the translation that a prefix ends at; ``None`` for all others."""
    if lan.behind is None or lan.behind[1] != KEY:
        return None
    nat = builder.form.nodes[lan.behind[0]].nat
    return nat.nptv6 if nat else None


def nptv6(builder: TopologyBuilder, wiring: Wiring, name: str, outsides: list[str]) -> Nptv6 | None:
    """The prefix translation of a node whose NATs have these outside interfaces."""
    ended = (e.lan for e in wiring.by_node[name] if e.lan)
    form = next((f for lan in ended if (f := form_of(builder, lan))), None)
    if form is None:
        return None
    path = ("nodes", name, "nat", KEY)
    _check_alone(builder, name)
    before = len(builder.problems)
    blocks = dict(_blocks(builder, wiring, form.inside, form.outside))
    if not blocks and not builder.partial and len(builder.problems) == before:
        builder.problems.add(
            "E265",
            f"no link of this lab has a subnet of {form.inside}",
            builder.at(*path, "inside"),
            "give one to an inside link by `subnet:`",
        )
    origin = builder.origin_key(*path)
    return Nptv6(tuple(outsides), form.inside, form.outside, tuple(blocks.items()), origin)


def _check_alone(builder: TopologyBuilder, name: str) -> None:
    nat = builder.form.nodes[name].nat
    if nat and nat.ipv6 == "masquerade":
        builder.problems.add(
            "E265",
            f"ipv6 masquerade contradicts `{KEY}`: an address has one counterpart or another",
            builder.at("nodes", name, "nat", "ipv6"),
            "keep one of them",
        )


def _blocks(
    builder: TopologyBuilder, wiring: Wiring, inside: IPv6Network, outside: IPv6Network
) -> Iterator[tuple[IPv6Network, IPv6Network]]:
    """The parts of the inside prefix that the lab has, and what each becomes as a whole.

    Subnets of 64 bits; or where the word that changes is further behind, addresses up to that.
    """
    for lan in wiring.lans:
        network = lan.networks.get(6)
        if lan.behind or not isinstance(network, IPv6Network) or not network.subnet_of(inside):
            continue
        ends = lan.ends
        known = [a.ip for e in ends for a in e.addresses] + [a for e in ends for a in e.answers]
        for address in (network.network_address, *known):
            if not isinstance(address, IPv6Address):
                continue
            there = counterpart(address, inside, outside)
            at = changing_word(address.packed, inside.prefixlen)
            if there is None or at is None:
                builder.problems.add(
                    "E265",
                    f"{address} has no counterpart outside: it is all ones behind {inside}",
                    network_place(builder, lan, network),
                    "another subnet (RFC 6296 section 3)",
                )
                break
            length = LONGEST if inside.prefixlen <= SHORT else 8 * at + 16
            yield (
                IPv6Network((int(address), length), strict=False),
                IPv6Network((int(there), length), strict=False),
            )
