"""A NAT in its place: each declared word of it against what its two sides see.

The probes are those of RFC 5780 section 4, with crafted packets on both sides instead of STUN. What
each word means is in ``expected/nat.yaml``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from netlab.topology.model import Masquerade, StaticNat
from netlab.topology.nat import Translator, is_pool
from netlab.verify import crafted, nat_times
from netlab.verify.bench import to
from netlab.verify.check import Check, classified
from netlab.verify.crafted import about, datagram, ends, segment
from netlab.verify.expected import table
from netlab.verify.nat_flows import ANOTHER, KNOWN, Flows
from netlab.verify.tap import NotMeasured
from netlab.wire import tcp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from netlab.verify.bench import Bench

MANY = 4000
"""Sessions: a limit up to this is tried."""

AT_ONCE = 16
FEW_PORTS = 64
"""A NAT with fewer ports than this has none left after a few probes."""

NOT_AT_ALL = "not at all"


def check_nat(bench: Bench, nat: Translator | Masquerade) -> Iterator[Check]:
    """All rows of one NAT."""
    inside = [i for i in bench.node.interfaces if i.name != nat.outside]
    if not any(a.version == 4 for i in inside for a in i.addresses):
        return  # there is nothing that it could translate
    try:
        flows = Flows(bench, nat)
    except NotMeasured as why:
        yield Check(bench.node.name, f"NAT at {nat.outside}", "a NAT", None, why=str(why))
        return
    yield from Rows(flows).all()


class Rows:
    """What is declared, in the words of ``expected/nat.yaml``, and how each is asked."""

    def __init__(self, flows: Flows) -> None:
        self.flows, self.bench, self.nat = flows, flows.bench, flows.nat
        self.table = table("nat")
        self.node = flows.bench.node.name

    def all(self) -> Iterator[Check]:
        """Every row, in an order in which none disturbs a later one."""
        yield self._answers()
        yield self._hides()
        words = self._words()
        for name, about_it, seen in (
            ("mapping udp", "mapping", lambda: self._mapping("udp")),
            ("mapping tcp", "mapping", lambda: self._mapping("tcp")),
            ("filtering udp", "filtering", lambda: self._filtering("udp")),
            ("filtering tcp", "filtering", lambda: self._filtering("tcp")),
            ("hairpinning udp", "hairpinning", lambda: self._hairpinning("udp")),
            ("hairpinning tcp", "hairpinning", lambda: self._hairpinning("tcp")),
            ("ports", "ports", self._ports),
            ("pooling", "pooling", self._pooling),
            ("icmp errors udp", "icmp-errors", lambda: self._errors("udp")),
            ("icmp errors tcp", "icmp-errors", lambda: self._errors("tcp")),
            ("unknown protocols", "unknown-protocols", self._unknown),
            ("unsolicited", "unsolicited", self._unsolicited),
            ("ipv6", "ipv6", self._ipv6),
        ):
            if about_it in words:
                yield self._named(name, about_it, words[about_it], seen)
        yield self._row("shares ports", words["shares ports"], self._shares, "RFC 4787 REQ-3")
        yield self._row("invalid packets show the inside",
                        words["shows the inside of invalid packets"],
                        self._leaks, "RFC 5508 REQ-5; RFC 4787 section 2")  # fmt: skip
        yield from self._of_numbers()
        yield from nat_times.check(self.flows, self.node)

    def _words(self) -> dict[str, Any]:
        nat = self.nat
        if isinstance(nat, Masquerade):
            return dict(self.table["linux"]["behaviour"])
        words: dict[str, Any] = {
            "mapping": nat.mapping,
            "filtering": nat.filtering,
            "ports": nat.ports,
            "hairpinning": nat.hairpinning,
            "icmp-errors": nat.icmp_errors,
            "unknown-protocols": nat.unknown_protocols,
            "unsolicited": nat.unsolicited,
            **self.table["always"]["described"],
        }
        if nat.ports == "overload":
            words["shares ports"] = True
        if nat.port_block:
            del words["ports"]  # which ports there are depends on the host
        if is_pool(nat):
            words["pooling"] = nat.pooling
        interfaces = (self.flows.inside, self.flows.outside)
        if all(any(a.version == 6 for a in self.bench.interface(i).addresses) for i in interfaces):
            words["ipv6"] = nat.ipv6
        return words

    # Rows.

    def _row(self, name: str, declared: Any, seen: Callable[[], Any], source: str = "") -> Check:
        """A row; of a NAT with few ports each begins with all of them free, where that can be."""
        bench, nat = self.bench, self.nat
        sent, came = bench.sent, bench.came
        if isinstance(nat, Translator):
            ports = nat.port_range[1] - nat.port_range[0] + 1
            if ports <= FEW_PORTS and not bench.own:
                why = f"its {ports} ports may be in use"
                return Check(self.node, name, declared, None, why=why, source=source)
            if ports < MANY or nat.sessions_per_subscriber:
                bench.forget()
        why = ""
        try:
            measured = seen()
        except LookupError as error:
            measured = str(error)
        except NotMeasured as error:
            measured, why = None, str(error)
        how = f"{bench.sent - sent} packets sent, {bench.came - came} came out"
        return Check(self.node, name, declared, measured, how, why, source)

    def _named(
        self, name: str, about_it: str, word: Any, seen: Callable[[], dict[str, str]]
    ) -> Check:
        words = self.table[about_it]
        declared = str(word).lower() if isinstance(word, bool) else str(word)
        row = self._row(name, declared, seen, words["source"])
        if not isinstance(row.measured, dict):
            return row
        said = {True: "yes", False: "no"}.get(word, declared)
        _, measured = classified(words, declared, row.measured)
        return row._replace(
            declared=said, measured={"true": "yes", "false": "no"}.get(measured, measured)
        )

    # Observations.

    def _answers(self) -> Check:
        """The positive control: who may answer does get through."""

        def seen() -> str:
            found = []
            for protocol in ("udp", "tcp", "icmp"):
                flow = self.flows.begin(protocol)
                if flow.outside[0] not in self.flows.addresses:
                    found.append(f"{protocol} leaves as {flow.outside[0]}")
                if not self.flows.answer(flow):
                    found.append(f"no answer to {protocol}")
            return ", ".join(found) or "udp, tcp and icmp"

        return self._row("translates, and answers return", "udp, tcp and icmp", seen,
                         "RFC 3022 section 2.2")  # fmt: skip

    def _hides(self) -> Check:
        """Each real host of the inside subnets: a packet in its name leaves with another."""
        hosts = self._inside_hosts()

        def seen() -> str:
            shown = []
            for host in (self.flows.a, *hosts):
                flow = self.flows.out(
                    "udp", (host, self.flows.port()), (self.flows.server, ANOTHER)
                )
                wanted = (
                    {self.flows.fixed[host]} if host in self.flows.fixed else self.flows.addresses
                )
                if flow is None or flow.outside[0] not in wanted:
                    shown.append(host)
            return f"not {' '.join(shown)}" if shown else "every inside host"

        return self._row("hides", "every inside host", seen, "RFC 3022 section 2.2")

    def _inside_hosts(self) -> list[str]:
        own = {a.ip for i in self.bench.node.interfaces for a in i.addresses}
        networks = [
            a.network for a in self.bench.interface(self.flows.inside).addresses if a.version == 4
        ]
        found = (
            a.ip
            for node in self.bench.topology.nodes
            for i in node.interfaces
            for a in i.addresses
            if a.version == 4 and a.ip not in own and any(a.ip in n for n in networks)
        )
        return [str(address) for address in dict.fromkeys(found)][:AT_ONCE]

    def _mapping(self, protocol: str) -> dict[str, str]:
        flows = self.flows
        first = flows.begin(protocol)
        found = {}
        for what, remote in (
            ("to another port", (flows.server, ANOTHER)),
            ("to another address", (flows.other, KNOWN)),
        ):
            again = flows.again(protocol, first.inside, remote)
            if again is None:
                raise LookupError(f"nothing comes out {what}")
            found[what] = "the same" if again.outside == first.outside else "another"
        return found

    def _filtering(self, protocol: str) -> dict[str, str]:
        flows = self.flows
        flow = flows.begin(protocol)
        passes = {
            "from another address": flows.stranger(flow, (flows.other, KNOWN)),
            "from another port": flows.stranger(flow, (flows.server, ANOTHER)),
            "from the known endpoint": flows.answer(flow),
        }
        return {what: "passes" if p else "dropped" for what, p in passes.items()}

    def _hairpinning(self, protocol: str) -> dict[str, str]:
        flows = self.flows
        a, b = flows.begin(protocol), flows.begin(protocol, flows.b)
        came = self.bench.send(flows.inside, flows.first(protocol, b.inside, a.outside))
        arrived = to(came[flows.inside], a.inside)
        if not arrived:
            return {"arrives": NOT_AT_ALL}
        source = ends(arrived[0])[0]
        if source[0] in {*flows.addresses, *flows.fixed.values()}:
            return {"arrives": "from the sender's outside endpoint"}
        return {"arrives": f"from {source[0]}:{source[1]}"}

    def _ports(self) -> dict[str, str]:
        flows = self.flows
        kept = []
        for _ in range(4):
            flow = flows.begin("udp")
            kept.append(flow.outside[1] == flow.inside[1])
        changed: list[bool] = []
        parity: list[bool] = []
        limit = getattr(self.nat, "sessions_per_subscriber", 0)
        wanted = max(1, min(16, limit - 4 if limit else 16)) if self.nat_has_room else 1
        for _ in range(wanted):
            if not limit and len(parity) % 3 == 2:
                flows.begin("udp")  # else what is given in sequence has one parity throughout
            flow = flows.begin("udp")
            if all(kept) and flow.outside[1] != flow.inside[1]:
                continue  # it was another host's already
            second = flows.again("udp", (flows.b, flow.inside[1]), flow.remote)
            if second is None:
                raise LookupError("a second host with the same port gets none")
            changed.append(second.outside[1] != flow.inside[1])
            parity.append(second.outside[1] % 2 == flow.inside[1] % 2)
        taken = "changed" if all(changed) else "kept"
        # A few ports that are drawn may have one parity by chance.
        if all(parity) and len(parity) == wanted > 1 and taken == "changed" and all(kept):
            taken = "changed, its parity kept"
        return {
            "a free port": "kept" if all(kept) else "changed",
            "a port that another host has": taken,
        }

    @property
    def nat_has_room(self) -> bool:
        """Whether it has more than a few ports."""
        nat = self.nat
        return isinstance(nat, Masquerade) or nat.port_range[1] - nat.port_range[0] >= FEW_PORTS

    def _pooling(self) -> dict[str, str]:
        flows = self.flows
        seen = {
            flows.begin("udp", remote=(target, KNOWN + n)).outside[0]
            for n in range(4)
            for target in (*self.bench.hosts(flows.outside, 8),)
        }
        return {"outside addresses of one host": "one" if len(seen) == 1 else "several"}

    def _errors(self, protocol: str) -> dict[str, str]:
        flows = self.flows
        found = {}
        for what, source, kind in (
            ("port unreachable", flows.server, 3),
            ("time exceeded", flows.other, 11),
        ):
            flow = flows.begin(protocol)
            error = crafted.error(source, flow.packet, kind=kind, code=3 if kind == 3 else 0)
            came = self.bench.send(flows.outside, error)[flows.inside]
            quotes = [about(p) for p in came if p.is_icmp_error]
            restored = (flow.inside, flow.remote) in quotes
            found[what] = (
                "with the inside endpoint restored"
                if restored
                else NOT_AT_ALL if not quotes else "with another endpoint"
            )  # fmt: skip
        return found

    def _unknown(self) -> dict[str, str]:
        flows = self.flows
        target = self.bench.fresh(flows.outside)
        seen: list[str] = []
        found = {}
        for what, host in (("the first host", flows.a), ("the second host", flows.b)):
            flow = flows.out("unknown", (host, 0), (target, 0))
            if flow is None:
                found[what] = NOT_AT_ALL
                continue
            source = flow.outside[0]
            if source == host:
                found[what] = "from its inside address"
            elif source not in flows.addresses:
                found[what] = f"from {source}"
            elif seen and source not in seen:
                found[what] = "from another outside address"
            else:
                found[what] = "from an outside address"
            seen.append(source)
            if source in flows.addresses and not flows.answer(flow):
                found[what] += ", but no answer returns"
        return found

    def _unsolicited(self) -> dict[str, str]:
        flows = self.flows
        address = min(flows.addresses)
        source = (flows.other, self.bench.port())
        came = self.bench.send(flows.outside, segment(source, (address, 7), "S"))
        if any(came[name] for name in came if name != flows.outside):
            return {"answer": "it passes"}
        back = to(came[flows.outside], source)
        flags = [p.tcp.flags for p in back if p.tcp]
        reset = any(f & tcp.RST for f in flags)
        return {"answer": "RST" if reset else "SYN, ACK" if flags else "none"}

    def _ipv6(self) -> dict[str, str]:
        (a, _), (server, _) = (self.bench.hosts(i, 2, 6)
                               for i in (self.flows.inside, self.flows.outside))  # fmt: skip
        target = (server, KNOWN)
        came = self.bench.send(self.flows.inside, datagram((a, self.bench.port()), target))
        arrived = to(came[self.flows.outside], target)
        if not arrived:
            raise LookupError("an IPv6 datagram does not come out")
        source = ends(arrived[0])[0][0]
        own = {str(x.ip) for x in self.bench.interface(self.flows.outside).addresses}
        return {
            "arrives": "from its own address"
            if source == a
            else "from an address of the NAT" if source in own else f"from {source}"
        }  # fmt: skip

    def _shares(self) -> bool:
        """Two hosts, one port, two destinations."""
        flows = self.flows
        one = flows.begin("udp")
        two = flows.again("udp", (flows.b, one.inside[1]), (flows.other, KNOWN))
        if two is None:
            raise LookupError("a second host with the same port gets none")
        return one.outside == two.outside

    def _leaks(self) -> bool:
        """A reset that belongs to nothing, a wrong checksum, an error about nothing."""
        flows = self.flows
        remote = (flows.server, KNOWN)
        reset = segment((flows.a, self.bench.port()), remote, "R")
        wrong = bytearray(segment((flows.a, self.bench.port()), remote, "S").octets)
        wrong[36] ^= 0xFF  # the checksum of TCP
        quoted = datagram(remote, (flows.a, self.bench.port()))
        error = crafted.error(flows.a, quoted)
        came = self.bench.send(flows.inside, reset, type(reset)(bytes(wrong)), error)
        return any(ends(p)[0][0] == flows.a for p in came[flows.outside])

    def _order(self, nat: Translator) -> Iterator[Check]:
        """New ports one after the other, to two destinations in turn."""
        if nat.ports not in ("random", "sequential"):
            return
        each = " for each destination" if nat.port_counter == "destination" else ""
        declared = "at random" if nat.ports == "random" else f"{nat.port_step} on{each}"

        def seen() -> str:
            flows = self.flows
            if nat.sessions_per_subscriber and nat.sessions_per_subscriber < 8:
                raise NotMeasured(f"{nat.sessions_per_subscriber} sessions are too few")
            targets = ((flows.server, KNOWN), (flows.other, KNOWN))
            ports = [flows.begin("udp", remote=targets[n % 2]).outside[1] for n in range(8)]
            steps = {b - a for a, b in pairwise(ports)}
            if len(steps) == 1:
                return f"{steps.pop()} on"
            apart = {b - a for one in (ports[::2], ports[1::2]) for a, b in pairwise(one)}
            return f"{apart.pop()} on for each destination" if len(apart) == 1 else "at random"

        yield self._row("the next port", declared, seen, "RFC 4787 section 4.2; RFC 6056")

    def _block(self, nat: Translator) -> Check:
        """The ports of two hosts, each within a block of its own."""

        def seen() -> str:
            found = []
            for host in (self.flows.a, self.flows.b):
                ports = [self.flows.begin("udp", host).outside[1] for _ in range(6)]
                found.append((min(ports), max(ports)))
            (a, b), (c, d) = sorted(found)
            if b >= c:
                return "two hosts share ports"
            width = max(b - a, d - c)
            return f"{nat.port_block} in a row" if width < nat.port_block else f"{width} apart"

        declared = f"{nat.port_block} in a row"
        return self._row("ports of a host", declared, seen, "RFC 7422")

    def _of_numbers(self) -> Iterator[Check]:
        """The range of ports, and how many sessions there may be."""
        nat, flows = self.nat, self.flows
        if isinstance(nat, Masquerade):
            return
        low, high = nat.port_range
        limit = nat.sessions_per_subscriber
        yield from self._order(nat)
        if nat.port_block:
            yield self._block(nat)
        number = min(high - low + 1, AT_ONCE, limit or AT_ONCE, nat.port_block or AT_ONCE)

        def at_once() -> str:
            host = self.bench.fresh(flows.inside)
            found = list(flows.several("udp", number, host))
            outside = {f.outside for f in found}
            beyond = [f.outside[1] for f in found if not low <= f.outside[1] <= high]
            if beyond:
                return f"{len(outside)} at once, port {beyond[0]}"
            ports = sorted(f.outside[1] for f in found)
            if nat.ports == "random" and not nat.port_block and number == AT_ONCE and ports:
                # Of 16 at random an eighth of the range holds all once in 10 ** 12 times.
                spread = ports[-1] - ports[0]
                if spread < (high - low) / 8:
                    return f"{len(outside)} at once, all of {ports[0]}-{ports[-1]}"
            return f"{len(outside)} at once"

        yield self._row(f"sessions on ports {low}-{high}", f"{number} at once", at_once,
                        "RFC 4787 section 4.2")  # fmt: skip
        if not limit:
            return

        def limited() -> str:
            if limit > MANY:
                raise NotMeasured(f"at most {MANY} sessions are tried")
            host = self.bench.fresh(flows.inside)
            found = list(flows.several("udp", limit + 3, host))
            refused = flows.first("udp", (host, flows.port()), (flows.server, KNOWN))
            back = self.bench.send(flows.inside, refused)[flows.inside]
            prohibited = any(p.is_icmp_error and p.upper[1] == 13 for p in back)
            return f"{len(found)}, " + ("then prohibited" if prohibited else "no word of it")

        yield self._row("sessions per subscriber", f"{limit}, then prohibited", limited,
                        "RFC 6888 REQ-4, REQ-11")  # fmt: skip


def check_static(bench: Bench, static: StaticNat, *, hairpins: bool) -> Iterator[Check]:
    """A port forward, or a 1:1 mapping: in, its answer, and from inside by the outside address."""
    node = bench.node
    address, inside_address = str(static.outside_address), str(static.inside_address)
    version = static.outside_address.version
    name = (
        f"forward {static.protocol}/{static.outside_port}" if static.protocol else f"1:1 {address}"
    )
    inside = next(
        (i.name for i in node.interfaces if i.name in bench.at
         and any(static.inside_address in a.network for a in i.addresses)), "")  # fmt: skip
    source = "RFC 4787 section 3; RFC 3022 section 2.1"

    def row(what: str, declared: str, seen: Callable[[], str]) -> Check:
        sent, came = bench.sent, bench.came
        try:
            if not inside:
                raise NotMeasured(f"{inside_address} is not in a subnet of {node.name}")  # noqa: TRY301
            measured: str | None = seen()
            why = ""
        except NotMeasured as error:
            measured, why = None, str(error)
        how = f"{bench.sent - sent} packets sent, {bench.came - came} came out"
        return Check(node.name, f"{name}: {what}", declared, measured, how, why, source)

    protocols = [static.protocol] if static.protocol else ["udp", "tcp", "icmp"]
    target = (address, static.outside_port or 6000)
    host = (inside_address, static.inside_port or 6000)

    def first(protocol: str, source: tuple[str, int]) -> Any:
        if protocol == "udp":
            return datagram(source, target)
        if protocol == "tcp":
            return segment(source, target, "S")
        return crafted.echo(source[0], address, source[1])

    def visit() -> str:
        stranger = bench.hosts(static.outside, 2, version)[0]
        wrong = []
        for protocol in protocols:
            source = (stranger, bench.port())
            arrived = to(
                bench.send(static.outside, first(protocol, source))[inside],
                host if protocol != "icmp" else (host[0], source[1]),
            )
            if not any(ends(p)[0][0] == stranger for p in arrived):
                wrong.append(f"{protocol} does not arrive")
        return ", ".join(wrong) or f"arrives at {inside_address}"

    def answer() -> str:
        stranger = bench.hosts(static.outside, 2, version)[0]
        protocol = protocols[0]
        source = (stranger, bench.port())
        # The real host may answer before ours does: the answer of either will do.
        back = bench.send(static.outside, first(protocol, source))[static.outside]
        reply = (
            datagram(host, source)
            if protocol == "udp"
            else segment(host, source, "SA", seq=5000, ack=1001)
        )
        back += bench.send(inside, reply)[static.outside]
        seen = {ends(p)[0] for p in to(back, source)}
        return "returns from the outside address" if target in seen else "does not return"

    def hairpin() -> str:
        a = bench.hosts(inside, 2)[0]
        protocol = protocols[0]
        arrived = to(bench.send(inside, first(protocol, (a, bench.port())))[inside], host)
        if not arrived:
            return NOT_AT_ALL
        return "from an outside address" if ends(arrived[0])[0][0] != a else f"from {a}"

    yield row("from outside", f"arrives at {inside_address}", visit)
    yield row("its answer", "returns from the outside address", answer)
    if hairpins and version == 4:
        yield row("from inside", "from an outside address", hairpin)
