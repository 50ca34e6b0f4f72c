"""A NAPT of any RFC 4787 behaviour as nftables rules.

Linux maps each flow for itself: conntrack knows no mapping that outlives or spans flows. So the
mappings are kept beside it, in maps that the packet path fills once conntrack has decided::

    mapping    (inside endpoint [, remote address])  ->  outside endpoint     a second flow asks it
    owner      outside endpoint  ->  inside endpoint                   translates what comes in
    bindings   outside endpoint, inside endpoint [, remote address]    who may use an outside port
    taken      outside port                                            whether a port can be kept
    permitted  outside endpoint, remote address [, remote port]        admitted by the filter
    live       outside endpoint                             refreshed by outbound packets alone

An endpoint is address . port; keys carry the protocol besides, so UDP and TCP never mix. What the
filter calls address-and-port-dependent is conntrack itself: only replies come in.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from netlab.topology.nat import blocks, is_pool
from netlab.wire.view import ICMP, TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from netlab.nft.builder import Chains
    from netlab.topology.model import StaticNat
    from netlab.topology.nat import Timeouts, Translator

MAPPED = f"meta l4proto {{ {TCP}, {UDP} }}"
UNKNOWN = f"meta l4proto != {{ {TCP}, {UDP}, {ICMP} }}"
SIZE = 65535
LONGEST_LIST = 512
"""Ports that are listed in a rule; a longer range is left to conntrack."""
SEQUENCE = 4096
"""Ports of a NAT's sequences together; then they begin anew, where real ones would go on. What an
ordinary user may send by netlink at once has no room for more."""
COUNTERS = 16
"""Sequences of a NAT that counts for each destination: by the last four bits of its address."""


class _Flow(NamedTuple):
    """Where conntrack keeps the endpoints of a flow, whichever way the packet at hand goes."""

    outside: str
    inside: str
    remote: str
    remote_port: str


OUTBOUND = _Flow(
    "ct reply ip daddr . meta l4proto . ct reply proto-dst",
    "ct original ip saddr . ct original proto-src",
    "ct original ip daddr",
    "ct original proto-dst",
)
INBOUND = _Flow(
    "ct original ip daddr . meta l4proto . ct original proto-dst",
    "ct reply ip saddr . ct reply proto-src",
    "ct original ip saddr",
    "ct original proto-src",
)

Ports: TypeAlias = range

TCP_STATES = (
    "syn_sent", "syn_recv", "fin_wait", "close_wait", "last_ack", "time_wait", "close",
)  # fmt: skip
"""Of conntrack, besides established (nf_conntrack_proto_tcp.c)."""

ADDRESS, PROTOCOL, PORT = "ipv4_addr", "inet_proto", "inet_service"


def translate(
    chains: Chains, nat: Translator, outsides: Sequence[str] = (), static: Sequence[StaticNat] = ()
) -> None:
    """Add all rules of one NAT to a node's table.

    ``outsides`` are all outside interfaces of the node, ``static`` its static mappings.
    """
    own = [each for each in static if each.outside == nat.outside]
    _Rules(chains, nat, outsides or (nat.outside,), own).write()


def sysctls(nat: Translator) -> Iterator[tuple[str, str]]:
    """The timeouts of conntrack in the NAT's namespace, as (name, seconds)."""
    t = nat.timeouts
    for name, seconds in (
        ("udp_timeout", t.udp),
        ("udp_timeout_stream", t.udp),
        ("tcp_timeout_established", t.tcp_established),
        # RFC 7857 section 2.2: a reset may be forged, so what it ends is kept as long.
        *((f"tcp_timeout_{s}", _of_state(t, s)) for s in TCP_STATES),
        ("icmp_timeout", t.icmp),
        ("generic_timeout", t.other),
    ):
        yield f"net.netfilter.nf_conntrack_{name}", str(seconds)


def _of_state(timeouts: Timeouts, state: str) -> int:
    own: int | None = getattr(timeouts, f"tcp_{state}")
    return timeouts.tcp_transitory if own is None else own


def in_turn(ports: Sequence[int]) -> str:
    """The next of these ports, as nft says it."""
    choice = ", ".join(f"{i} : {port}" for i, port in enumerate(ports))
    return f"numgen inc mod {len(ports)} map {{ {choice} }}"


def _any(words: Iterable[str]) -> str:
    """One word as it is, several as an anonymous set."""
    listed = list(dict.fromkeys(words))
    return listed[0] if len(listed) == 1 else f"{{ {', '.join(listed)} }}"


def _random_of(ports: range) -> str:
    return f"{ports[0]}-{ports[-1]} fully-random"


def _same_if_among(ports: range) -> str:
    """Conntrack keeps a port that is one of these, if no other flow has the same ends."""
    return f"{ports[0]}-{ports[-1]}"


def _share(ports: range, number: int) -> range:
    """The ports of one of the counters; their mappings may last, so none has those of another."""
    size = len(ports) // COUNTERS
    return ports[number * size : (number + 1) * size]


def _last_bits(number: int) -> str:
    return f"0.0.0.{number}"


class _Rules:
    """The rules of one NAT; names of sets are made its own by the outside interface."""

    def __init__(
        self,
        chains: Chains,
        nat: Translator,
        outsides: Sequence[str],
        static: Sequence[StaticNat],
    ) -> None:
        self.chains = chains
        self.nat = nat
        # RFC 4787 REQ-9 is about hosts inside: who is at another outside interface is a stranger.
        self.elsewhere = "!= " + _any(f'"{outside}"' for outside in outsides)
        self.one_to_one = [s for s in static if not s.protocol and s.outside_address.version == 4]
        self.forwarded = [s for s in static if s.protocol and s.outside_address.version == 4]
        self.leaving = f'oifname "{nat.outside}"'
        self.arriving = f'iifname "{nat.outside}"'
        self.remembers = nat.mapping != "address-and-port-dependent"
        self.keeps = nat.ports in ("preserve", "preserve-parity")
        self.longest = SEQUENCE // (len(blocks(nat)) if nat.port_block else 1)
        # RFC 4787 REQ-3: whether an outside port is held for the inside endpoint that has it.
        self.owns = self.remembers and nat.ports != "overload"
        self.leads_in = nat.filtering != "address-and-port-dependent" or nat.hairpinning
        # What a mapping depends on besides the inside endpoint.
        self.remote = " . ip daddr" if nat.mapping == "address-dependent" else ""
        self.remote_type = f" . {ADDRESS}" if self.remote else ""

    def write(self) -> None:
        self.declare()
        self.pass_unknown()
        self.map_out()
        if self.nat.hairpinning:
            self.hairpin()
        self.record()
        if self.leads_in:
            self.lead_in()
        self.filter()
        if self.nat.ipv6 == "masquerade":
            self.masquerade_ipv6()

    def rule(self, chain: str, statement: str, label: str) -> None:
        self.chains.add(chain, statement, f"NAT {label}", self.nat.origin)

    def name(self, kind: str) -> str:
        """Interface names may hold what nft identifiers may not."""
        outside = "".join(c if c.isalnum() else f"_{ord(c):x}_" for c in self.nat.outside)
        return f"{kind}_{outside}"

    def at(self, kind: str) -> str:
        return f"@{self.name(kind)}"

    # The outside endpoints.

    @property
    def owned(self) -> str:
        return f"{{ {', '.join(map(str, self.nat.addresses))} }}"

    def shares(self, *, of_flow: bool) -> Iterator[tuple[str, str]]:
        """Each outside address with the match that gives it its share of the hosts.

        A paired pool goes by the inside address alone, an arbitrary one by the destination too if
        it is about a flow. `snat` to a range of addresses would do both, but a list has no range.
        """
        if not is_pool(self.nat):
            yield "", str(self.nat.addresses[0])
            return
        arbitrary = of_flow and self.nat.pooling == "arbitrary"
        key = "ip saddr . ip daddr" if arbitrary else "ip saddr"
        for i, address in enumerate(self.nat.addresses):
            yield f"jhash {key} mod {len(self.nat.addresses)} seed 0x6e6c == {i} ", str(address)

    def ranges(self) -> Iterator[tuple[str, Ports]]:
        """The ports that a mapping may have, each with the match for the hosts that have them."""
        if not self.nat.port_block:
            low, high = self.nat.port_range
            yield "", range(low, high + 1)
            return
        every = blocks(self.nat)
        mask = _last_bits(len(every) - 1)
        for number, (first, last) in enumerate(every):
            yield f"ip saddr & {mask} == {_last_bits(number)} ", range(first, last + 1)

    def assign(self, match: str, choose: Callable[[Ports], str], label: str) -> None:
        """A new mapping of TCP or UDP to an outside address and a port that ``choose`` says."""
        for share, address in self.shares(of_flow=True):
            for host, ports in self.ranges():
                to = f"{address}:{choose(ports)}"
                statement = f"{match} {MAPPED} {host}{share}counter snat ip to {to}"
                self.rule("postrouting", statement, label)

    # The parts.

    def declare(self) -> None:
        endpoint = f"{ADDRESS} . {PORT}"
        key = f"{ADDRESS} . {PROTOCOL} . {PORT}"
        dynamic = f"flags dynamic,timeout; timeout {self.nat.timeouts.udp}s; size {SIZE};"

        def kept(kind: str, name: str, types: str) -> None:
            self.chains.declare(f"{kind} {self.name(name)} {{ type {types}; {dynamic} }}")

        if self.nat.sessions_per_subscriber:
            self.chains.declare(
                f"set {self.name('sessions')} {{ type {ADDRESS}; flags dynamic; size {SIZE}; }}"
            )
        if self.remembers:
            kept("map", "mapping", f"{key}{self.remote_type} : {endpoint}")
        if self.owns:
            if self.remote:
                # nft can list keys of five parts, no more, so the protocol is in the set's name.
                for protocol in (UDP, TCP):
                    kept("set", self.bindings(protocol), f"{endpoint} . {endpoint} . {ADDRESS}")
            else:
                kept("set", "bindings", f"{key} . {endpoint}")
            kept("set", "occupied", key)
        if self.keeps:
            kept("set", "taken", f"{PROTOCOL} . {PORT}")
        if self.leads_in:
            kept("map", "owner", f"{key} : {endpoint}")
        if self.nat.filtering == "address-dependent":
            kept("set", "permitted", f"{key} . {ADDRESS}")
        if not self.nat.inbound_refresh:
            kept("set", "alive", f"{key} . {endpoint}")
            if self.leads_in:
                kept("set", "live", key)

    def map_out(self) -> None:
        # What the node itself sends has an outside address already.
        leaving = f"{self.leaving} meta nfproto ipv4 ip saddr != {self.owned}"
        inside = f"ip saddr . meta l4proto . th sport{self.remote}"
        if self.remembers:
            self.rule(
                "postrouting",
                f"{leaving} {MAPPED} counter snat ip to {inside} map {self.at('mapping')}",
                f"mapping {self.nat.mapping}",
            )
        if self.nat.ports == "sequential":
            self.in_sequence(leaving)
        elif self.owns and self.is_short and not self.nat.port_block:
            self.from_list(leaving)
        else:
            self.from_range(leaving)
        for share, address in self.shares(of_flow=False):
            self.rule(
                "postrouting", f"{leaving} {share}counter snat ip to {address}", "other protocols"
            )

    @property
    def range(self) -> str:
        low, high = self.nat.port_range
        return f"{low}-{high}"

    @property
    def is_short(self) -> bool:
        low, high = self.nat.port_range
        return high - low < LONGEST_LIST

    def from_range(self, leaving: str) -> None:
        """Conntrack picks the port; with this range a collision is rare."""
        if self.keeps:
            taken = f"{leaving} meta l4proto . th sport {self.at('taken')}"
            if self.nat.ports == "preserve-parity":
                self.keep_parity(f"{taken} {MAPPED}")
            self.assign(taken, self.any_of, "port taken: another")
        choose = self.any_of if self.nat.ports == "random" else _same_if_among
        self.assign(leaving, choose, f"ports {self.nat.ports}")

    def any_of(self, ports: Ports) -> str:
        """One of few ports, gone through in a random order, so that none is drawn twice."""
        if self.owns and len(ports) <= LONGEST_LIST:
            rng = random.Random(ports[0])  # noqa: S311 - it is to be repeated, not to be secret
            return in_turn(rng.sample(ports, min(len(ports), self.longest)))
        return _random_of(ports)

    def in_sequence(self, leaving: str) -> None:
        """The next port after the last one, of the NAT or of the destination."""
        step, longest = self.nat.port_step, self.longest
        if self.nat.port_counter == "nat":
            self.assign(leaving, lambda ports: in_turn(ports[::step][:longest]), "the next port")
            return
        mask = _last_bits(COUNTERS - 1)
        for number in range(COUNTERS):
            self.assign(
                f"{leaving} ip daddr & {mask} == {_last_bits(number)}",
                lambda ports, n=number: in_turn(_share(ports, n)[::step][: longest // COUNTERS]),  # type: ignore[misc]
                "the destination's next port",
            )

    def from_list(self, leaving: str) -> None:
        """Few ports are gone through in turn: none is refused while one is free."""
        if self.keeps:
            free = f"th sport {self.range} meta l4proto . th sport != {self.at('taken')}"
            self.assign(f"{leaving} {free}", _same_if_among, f"ports {self.nat.ports}")
        if self.nat.ports == "preserve-parity":
            self.keep_parity(f"{leaving} {MAPPED}")
            return
        self.assign(leaving, in_turn, "the next port")

    def keep_parity(self, match: str) -> None:
        """The next port of the same parity, from a list that is gone through in turn.

        It begins at the upper end of the range, where hosts seldom take a port by themselves.
        """
        low, high = self.nat.port_range
        for parity in (0, 1):
            ports = range(high, max(low, high - LONGEST_LIST) - 1, -1)
            same = [port for port in ports if port % 2 == parity]
            self.rule(
                "postrouting",
                f"{match} th sport & 1 == {parity} counter snat ip to {self.nat.addresses[0]}"
                f":{in_turn(same)}",
                "port taken: one of its parity",
            )

    def record(self) -> None:
        """Behind source NAT: refuse a port that another inside endpoint has, remember the rest."""
        first = f"{self.leaving} ct direction original"
        if self.owns:
            # Linux lets two mappings share a port while their destinations differ; RFC 4787 REQ-3
            # forbids it. A port range that is used up shows here.
            flow = OUTBOUND
            for which, protocol in ((UDP, UDP), (TCP, TCP)) if self.remote else ((MAPPED, UDP),):
                match = which if which == MAPPED else f"meta l4proto {which}"
                self.rule(
                    "record",
                    f"{first} {match} {flow.outside} {self.at('occupied')}"
                    f" {self.binding(flow)} != {self.at(self.bindings(protocol))} counter drop",
                    "no port left",
                )
        self.remember(first, OUTBOUND, "outbound")
        # RFC 4787 REQ-6: what goes out refreshes, in a flow that began outside too.
        self.remember(f"{self.leaving} ct direction reply ct status dnat", INBOUND, "outbound")
        if self.nat.inbound_refresh:
            self.remember(f"{self.arriving} ct direction reply", OUTBOUND, "inbound")
            self.remember(
                f"{self.arriving} ct direction original ct status dnat", INBOUND, "inbound"
            )
        if self.nat.hairpinning:
            hairpinned = f"{self.hairpinned} ct direction original ct status dnat"
            self.remember(hairpinned, OUTBOUND, "hairpinned")

    def remember(self, match: str, flow: _Flow, label: str) -> None:
        times = self.nat.timeouts
        transitory = min(times.tcp_transitory, times.tcp_established)
        # RFC 5382 REQ-5: what opens or closes is kept for a shorter time. Conntrack knows the
        # state, and the time that it gives shows it; before it is confirmed it has none yet.
        opening = f"ct expiration <= {transitory}s"
        for which, seconds in (
            (f"{UDP}", times.udp),
            (f"{TCP} ct status & confirmed == 0", transitory),
            (f"{TCP} ct status & confirmed != 0 {opening}", transitory),
            (
                f"{TCP} ct status & confirmed != 0 {opening.replace('<=', '>')}",
                times.tcp_established,
            ),
        ):
            protocol = int(which.split()[0])
            updates = " ".join(self.updates(flow, protocol, f"timeout {seconds}s"))
            if updates:
                self.rule(
                    "record", f"{match} meta l4proto {which} counter {updates}", f"keeps {label}"
                )

    def bindings(self, protocol: int) -> str:
        return f"bindings_{protocol}" if self.remote else "bindings"

    def binding(self, flow: _Flow) -> str:
        if self.remote:
            outside = flow.outside.replace(" . meta l4proto", "")
            return f"{outside} . {flow.inside} . {flow.remote}"
        return f"{flow.outside} . {flow.inside}"

    def updates(self, flow: _Flow, protocol: int, timeout: str) -> Iterator[str]:
        if self.remembers:
            remote = f" . {flow.remote}" if self.remote else ""
            address, _, port = flow.inside.partition(" . ")
            key = f"{address} . meta l4proto . {port}{remote}"
            target = flow.outside.replace(" . meta l4proto", "")
            yield f"update {self.at('mapping')} {{ {key} {timeout} : {target} }}"
        if self.owns:
            bindings = self.at(self.bindings(protocol))
            yield f"update {bindings} {{ {self.binding(flow)} {timeout} }}"
            yield f"update {self.at('occupied')} {{ {flow.outside} {timeout} }}"
        if self.keeps:
            key = flow.outside.partition(" . ")[2]
            yield f"update {self.at('taken')} {{ {key} {timeout} }}"
        if self.leads_in:
            yield f"update {self.at('owner')} {{ {flow.outside} {timeout} : {flow.inside} }}"
        if self.nat.filtering == "address-dependent":
            yield f"update {self.at('permitted')} {{ {flow.outside} . {flow.remote} {timeout} }}"
        if not self.nat.inbound_refresh:
            remote = f"{flow.remote} . {flow.remote_port}"
            yield f"update {self.at('alive')} {{ {flow.outside} . {remote} {timeout} }}"
            if self.leads_in:
                yield f"update {self.at('live')} {{ {flow.outside} {timeout} }}"

    @property
    def hairpinned(self) -> str:
        others = (str(s.outside_address) for s in (*self.one_to_one, *self.forwarded))
        reached = _any((*map(str, self.nat.addresses), *others))
        return f"oifname {self.elsewhere} iifname {self.elsewhere} ct original ip daddr {reached}"

    def lead_in(self) -> None:
        """From outside to the owner of a mapping, if the filter allows."""
        outside = "ip daddr . meta l4proto . th dport"
        to_owner = f"counter dnat ip to {outside} map {self.at('owner')}"
        if self.nat.filtering == "endpoint-independent":
            allowed = ""
        elif self.nat.filtering == "address-dependent":
            allowed = f" {outside} . ip saddr {self.at('permitted')}"
        else:
            return
        self.rule(
            "prerouting",
            f"{self.arriving} {MAPPED}{allowed} {to_owner}",
            f"filtering {self.nat.filtering}",
        )

    def hairpin(self) -> None:
        """RFC 4787 REQ-9 (a): the source becomes the outside endpoint of the sender."""
        outside = "ip daddr . meta l4proto . th dport"
        self.hairpin_static()
        self.rule(
            "prerouting",
            f"iifname {self.elsewhere} ip daddr {self.owned} {MAPPED}"
            f" counter dnat ip to {outside} map {self.at('owner')}",
            "hairpinning",
        )
        back = f"{self.hairpinned} ct status dnat"
        for each in self.one_to_one:
            self.rule(
                "postrouting",
                f"{back} ip saddr {each.inside_address} counter snat ip to {each.outside_address}",
                "hairpinning: static NAT",
            )
        if self.remembers:
            remote = " . ct original ip daddr" if self.remote else ""
            inside = f"ip saddr . meta l4proto . th sport{remote}"
            self.rule(
                "postrouting",
                f"{back} {MAPPED} counter snat ip to {inside} map {self.at('mapping')}",
                "hairpinning: the sender's mapping",
            )
        anew = self.nat.ports in ("random", "sequential")
        self.assign(back, _random_of if anew else _same_if_among, "hairpinning: a new mapping")
        if self.one_to_one:
            for share, address in self.shares(of_flow=False):
                self.rule(
                    "postrouting",
                    f"{back} {share}counter snat ip to {address}",
                    "hairpinning: other protocols",
                )

    def hairpin_static(self) -> None:
        """A static mapping is there for inside hosts too, before anything came from outside."""
        for each in (*self.forwarded, *self.one_to_one):
            to = f"iifname {self.elsewhere} ip daddr {each.outside_address}"
            target = str(each.inside_address)
            if each.protocol:
                to += f" {each.protocol} dport {each.outside_port}"
                target += f":{each.inside_port}"
            self.rule("prerouting", f"{to} counter dnat ip to {target}", "hairpinning: static NAT")

    def pass_unknown(self) -> None:
        nat = self.nat
        if nat.unknown_protocols == "drop":
            for way in (self.leaving, self.arriving):
                # ICMPv6 is none of IPv4's protocols, and IPv6 passes as it is.
                dropped = f"{way} meta nfproto ipv4 {UNKNOWN} counter drop"
                self.rule("forward", dropped, "unknown protocol")
        elif nat.unknown_protocols == "leak":
            self.rule(
                "postrouting",
                f"{self.leaving} meta nfproto ipv4 {UNKNOWN} counter accept",
                "unknown protocol leaks",
            )
        elif nat.unknown_protocols == "pool":
            self.chains.declare(
                f"map {self.name('lease')} {{ type {ADDRESS} : {ADDRESS};"
                f" flags dynamic,timeout; timeout {nat.timeouts.other}s; size {SIZE}; }}"
            )
            leaving = f"{self.leaving} meta nfproto ipv4 {UNKNOWN}"
            turn = ", ".join(f"{i} : {address}" for i, address in enumerate(nat.addresses))
            next_address = f"numgen inc mod {len(nat.addresses)} map {{ {turn} }}"
            self.rule(
                "postrouting",
                f"{leaving} counter snat ip to ip saddr map {self.at('lease')}",
                "unknown protocol: the host's own address",
            )
            self.rule(
                "postrouting",
                f"{leaving} counter snat ip to {next_address}",
                "unknown protocol: the next address",
            )
            self.rule(
                "record",
                f"{leaving} ct direction original counter"
                f" update {self.at('lease')} {{ ct original ip saddr : ip saddr }}",
                "unknown protocol: remember the address",
            )

    def masquerade_ipv6(self) -> None:
        self.rule(
            "postrouting", f"{self.leaving} meta nfproto ipv6 counter masquerade", "masquerade IPv6"
        )
        # As for IPv4, but not ICMPv6: Neighbour Discovery comes unasked.
        self.rule(
            "input",
            f"{self.arriving} meta nfproto ipv6 {MAPPED} ct state new,invalid counter drop",
            "unsolicited to the NAT",
        )

    def filter(self) -> None:
        nat = self.nat
        arriving = f"{self.arriving} meta nfproto ipv4"
        if not nat.icmp_errors:
            self.rule(
                "forward",
                f"{arriving} meta l4proto {ICMP} ct state related counter drop",
                "ICMP error not translated",
            )
        if not nat.inbound_refresh:
            session = f"{OUTBOUND.outside} . {OUTBOUND.remote} . {OUTBOUND.remote_port}"
            self.rule(
                "forward",
                f"{arriving} {MAPPED} ct direction reply {session} != {self.at('alive')}"
                " counter drop",
                "mapping expired",
            )
        if not nat.inbound_refresh and self.leads_in:
            # A flow that began outside lives by the mapping that it came in by.
            static = ""
            if self.forwarded:
                listed = ", ".join(
                    f"{s.inside_address} . {s.protocol} . {s.inside_port}" for s in self.forwarded
                )
                static += f" ip daddr . meta l4proto . th dport != {{ {listed} }}"
            if self.one_to_one:
                static += " ip daddr != " + _any(str(s.inside_address) for s in self.one_to_one)
            self.rule(
                "forward",
                f"{arriving} {MAPPED} ct direction original ct status dnat{static}"
                f" {INBOUND.outside} != {self.at('live')} counter drop",
                "mapping expired",
            )
        # What conntrack calls invalid is not translated, and would show the inside address.
        which = (
            f"meta l4proto {{ {TCP}, {UDP}, {ICMP} }} " if nat.unknown_protocols == "leak" else ""
        )
        self.rule(
            "forward",
            f"{self.leaving} meta nfproto ipv4 {which}ct state invalid counter drop",
            "invalid: not translated",
        )
        if nat.sessions_per_subscriber:
            # RFC 6888 REQ-11: no session evicts another, and the subscriber learns of it. Only
            # the first packet of a session is counted: "new" is each until an answer comes.
            self.rule(
                "forward",
                f"{self.leaving} meta nfproto ipv4 ct status & confirmed == 0"
                f" add {self.at('sessions')} {{ ip saddr ct count over"
                f" {nat.sessions_per_subscriber} }} counter reject with icmp admin-prohibited",
                "too many sessions of a subscriber",
            )
        # Who knows a route to the inside must not get round the filter.
        self.rule(
            "forward",
            f"{arriving} ct state new ct status & dnat == 0 counter drop",
            f"filtering {nat.filtering}",
        )
        if nat.unsolicited == "reset":
            self.rule(
                "input",
                f"{arriving} meta l4proto {TCP} ct state new,invalid counter reject with tcp reset",
                "unsolicited to the NAT",
            )
        # Were it let in, conntrack would give it the tuple that an inside host's flow needs.
        self.rule(
            "input", f"{arriving} ct state new,invalid counter drop", "unsolicited to the NAT"
        )
