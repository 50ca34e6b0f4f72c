"""The form of a topology file: its keys, their types and their short forms.

Every field's description is the reference: it goes into the JSON Schema that editors show, and
``docs/topology.md`` is tested to name every key. What the forms cannot know (does that node
exist? is that address free?) is resolve.py's part.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from netlab.topology import route_text
from netlab.topology.fields import (
    NULL,
    Address,
    Argv,
    Boolean,
    Destination,
    DirectoryPath,
    EndAddress,
    EndText,
    EnvironmentName,
    FilePath,
    Integer,
    Label,
    Mac,
    NodeName,
    Number,
    Port,
    Regex,
    Short,
    Subnet,
    SysctlName,
    Text,
    Word,
    environment,
    listed,
    none_or,
    nothing_is_empty,
    one_or_more,
    plain_value,
    port_range,
    wrong,
)
from netlab.topology.nat import (
    Dependence,
    Ipv6,
    Pooling,
    PortAssignment,
    PortCounter,
    UnknownProtocols,
    Unsolicited,
)
from netlab.topology.route_text import RULE_HINT
from netlab.topology.source import Plain

STRING = {"type": "string"}
LIST = {"type": "array", "items": {"type": ["string", "number"]}}

Kind = Literal["host", "router", "nat", "bridge", "stack"]
Mtu = Annotated[Integer, Field(ge=68, le=65535)]
Subnets = Annotated[list[Subnet], *one_or_more(STRING)]
Addresses = Annotated[list[Address], *one_or_more(STRING)]
Words = Annotated[list[Word], *one_or_more(STRING)]
Families = Annotated[
    list[Literal["ipv4", "ipv6"]],
    Field(min_length=1),
]
PortRange = Annotated[
    tuple[Integer, Integer], BeforeValidator(port_range), WithJsonSchema({"type": "string"})
]
Quantity = Annotated[
    Any, BeforeValidator(plain_value), WithJsonSchema({"type": ["string", "number"]})
]
Environment = Annotated[
    dict[EnvironmentName, Text],
    BeforeValidator(environment),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"inherit": {"type": ["array", "string"], "items": STRING}},
            "additionalProperties": {"type": ["string", "number"]},
        }
    ),
    NULL,
]


EndAddresses = Annotated[
    list[EndAddress] | None,
    BeforeValidator(none_or(listed)),
    WithJsonSchema({"anyOf": [STRING, {"type": "array", "items": STRING}]}),
]
EndsAddresses = Annotated[
    dict[NodeName, EndAddresses] | None,
    BeforeValidator(none_or(nothing_is_empty)),
    Short({"const": "none"}),
]


class Form(BaseModel):
    """A mapping of the file; a key that is not named here is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def described(cls) -> dict[str, str]:
        """The keys as the file writes them, each with its description."""
        return {f.alias or name: f.description or "" for name, f in cls.model_fields.items()}


class ReadyForm(Form):
    """When a program counts as started."""

    port: Port | None = Field(None, description="It listens: `80`, `tcp/80` or `udp/53`.")
    log: Regex | None = Field(None, description="Its output matches this regular expression.")
    exit: Annotated[Integer, Field(ge=0, le=255)] | None = Field(
        None, description="It has ended with this exit code."
    )
    timeout: Annotated[Number, Field(gt=0, le=3600)] = Field(
        10.0, description="Seconds to wait before `up` fails."
    )

    @model_validator(mode="after")
    def _one(self) -> ReadyForm:
        given = [n for n in ("port", "log", "exit") if getattr(self, n) is not None]
        if len(given) != 1:
            have = " and ".join(f"`{n}`" for n in given) or "nothing"
            raise wrong("E207", f"`ready` has {have}", "give one of `port`, `log`, `exit`")
        return self


def _run(value: object) -> object:
    """``http: [python3, -m, http.server]`` is ``http: {run: [...]}``."""
    short = isinstance(value, list) or (isinstance(value, str) and not isinstance(value, Plain))
    return {"run": value} if short else value


class ProgramForm(Form):
    """A program that the lab starts in the node."""

    run: Argv = Field(description="Words of the command, or one line; never given to a shell.")
    environment: Environment = Field({}, description="Variables of this program only.")
    ready: ReadyForm | None = Field(None, description="What to wait for; without it, nothing.")


class StaticNatForm(Form):
    """A fixed translation: a whole address (`outside`, `inside`) or one port (`forward`, `to`)."""

    outside: Address | None = Field(
        None,
        description="The outside address; may be left out with `forward`: the NAT's own.",
    )
    inside: Word | None = Field(None, description="The inside address, or a node's name.")
    forward: Port | None = Field(None, description="The outside port, as `tcp/8080`.")
    to: Word | None = Field(None, description="Inside address or node, and port: `web:80`.")

    @model_validator(mode="after")
    def _whole(self) -> StaticNatForm:
        address = self.outside is not None and self.inside is not None
        if (
            (self.forward is None) != (self.to is None)
            or (self.forward is None and not address)
            or (self.forward is not None and self.inside is not None)
        ):
            raise wrong(
                "E207",
                "a static translation is incomplete",
                "give `outside` and `inside`, or `forward` and `to`",
            )
        return self


class TimeoutsForm(Form):
    """How long an idle session of a NAT is kept, in seconds."""

    udp: Integer | None = Field(None, description="RFC 4787 REQ-5; 300.")
    tcp_established: Integer | None = Field(
        None, alias="tcp-established", description="RFC 5382 REQ-5; 7440."
    )
    tcp_transitory: Integer | None = Field(
        None, alias="tcp-transitory", description="While it opens or closes; 240."
    )
    tcp_syn_sent: Integer | None = Field(
        None, alias="tcp-syn-sent", description="After a SYN; else as `tcp-transitory`."
    )
    tcp_syn_recv: Integer | None = Field(
        None, alias="tcp-syn-recv", description="After its answer; else as `tcp-transitory`."
    )
    tcp_fin_wait: Integer | None = Field(
        None, alias="tcp-fin-wait", description="After the first FIN; else as `tcp-transitory`."
    )
    tcp_close_wait: Integer | None = Field(
        None, alias="tcp-close-wait", description="After its ACK; else as `tcp-transitory`."
    )
    tcp_last_ack: Integer | None = Field(
        None, alias="tcp-last-ack", description="After the second FIN; else as `tcp-transitory`."
    )
    tcp_time_wait: Integer | None = Field(
        None, alias="tcp-time-wait", description="After the last ACK; else as `tcp-transitory`."
    )
    tcp_close: Integer | None = Field(
        None, alias="tcp-close", description="After a reset; else as `tcp-transitory`."
    )
    icmp: Integer | None = Field(None, description="Queries, RFC 5508 REQ-2; 60.")
    other: Integer | None = Field(None, description="All other protocols; 600.")


class Nptv6Form(Form):
    """One IPv6 prefix inside, another of the same length outside."""

    inside: Subnet = Field(description="What inside hosts have, as `fd00:1::/48`.")
    outside: Subnet = Field(description="What others see, as `2001:db8:1::/48`.")


class NatForm(Form):
    """Network address translation (RFC 3022) at a node of kind `nat`.

    With none but `masquerade` and `static` it is what Linux does by itself; with any other key
    it is what RFC 4787 calls it, see docs/nat.md.
    """

    masquerade: Words = Field(
        [], description="Interfaces whose leaving IPv4 packets get the interface's own address."
    )
    static: list[StaticNatForm] = Field([], description="Fixed translations.")
    preset: Word | None = Field(
        None,
        description="A known behaviour, see `netlab preset`, or a file as `./my-router.yaml`; "
        "other keys win over it.",
    )
    mapping: Dependence | None = Field(
        None, description="Whether a mapping serves all destinations (RFC 4787 section 4.1)."
    )
    filtering: Dependence | None = Field(
        None, description="Who may send to a mapping (RFC 4787 section 5)."
    )
    ports: PortAssignment | None = Field(
        None, description="Which outside port a mapping gets (RFC 4787 section 4.2)."
    )
    port_range: PortRange | None = Field(
        None, alias="port-range", description="Outside ports, as `1024-65535`."
    )
    port_step: Integer | None = Field(
        None, alias="port-step", description="With `ports: sequential`: how far the next one is."
    )
    port_counter: PortCounter | None = Field(
        None,
        alias="port-counter",
        description="With `ports: sequential`: one counter for the `nat`, or for each "
        "`destination` address.",
    )
    port_block: Annotated[Integer, Field(ge=1)] | None = Field(
        None,
        alias="port-block",
        description="Ports that each inside address has for itself, contiguous (RFC 7422).",
    )
    addresses: Addresses = Field(
        [], description="Outside addresses, of the outside link's subnet; else the interface's."
    )
    pooling: Pooling | None = Field(
        None, description="Whether an inside host keeps to one outside address."
    )
    hairpinning: Boolean | None = Field(
        None, description="Whether inside hosts meet at outside addresses (RFC 4787 section 6)."
    )
    inbound_refresh: Boolean | None = Field(
        None, alias="inbound-refresh", description="Whether packets from outside keep a mapping."
    )
    icmp_errors: Boolean | None = Field(
        None, alias="icmp-errors", description="Whether ICMP errors are translated (RFC 5508)."
    )
    unknown_protocols: UnknownProtocols | None = Field(
        None, alias="unknown-protocols", description="All but TCP, UDP and ICMP."
    )
    unsolicited: Unsolicited | None = Field(
        None, description="What a SYN without a mapping meets (RFC 5382 REQ-4)."
    )
    ipv6: Ipv6 | None = Field(
        None, description="IPv6 passes untranslated, or with the outside interface's address."
    )
    sessions_per_subscriber: Annotated[Integer, Field(ge=1)] | None = Field(
        None,
        alias="sessions-per-subscriber",
        description="How many sessions one inside address may have (RFC 6888 REQ-4).",
    )
    timeouts: TimeoutsForm | None = Field(None, description="In seconds.")
    nat64: Subnet | None = Field(
        None,
        description="An IPv6 prefix, as `64:ff9b::/96`, that represents all IPv4 addresses outside "
        "(RFC 6146).",
    )
    nptv6: Nptv6Form | None = Field(
        None, description="One IPv6 prefix for another, address by address (RFC 6296)."
    )

    @property
    def is_described(self) -> bool:
        """True if it says more of IPv4 than `masquerade` and `static`."""
        return bool(self.model_fields_set - {"masquerade", "static", "nptv6"})


def _middlebox(value: object) -> object:
    """``first-packet-only`` is ``{kind: first-packet-only}``."""
    short = isinstance(value, str) and not isinstance(value, Plain)
    return {"kind": value} if short else value


class MiddleboxForm(Form):
    """A middlebox; further keys are the parameters of its kind, see docs/middleboxes.md."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    kind: Word | None = Field(None, description="One of `netlab boxes`.")
    python: Word | None = Field(
        None, description="Your own, on a link: `FILE.py:CLASS`, the file beside this one."
    )

    @model_validator(mode="after")
    def _one(self) -> MiddleboxForm:
        if (self.kind is None) == (self.python is None):
            raise wrong(
                "E207", "a middlebox is incomplete", "give `kind`, or `python: FILE.py:CLASS`"
            )
        return self


Middlebox = Annotated[MiddleboxForm, BeforeValidator(_middlebox), Short(STRING)]


class ImpairmentForm(Form):
    """What a link does to packets; see the kind `impair` in docs/middleboxes.md."""

    delay: Quantity | None = Field(None, description="How long each packet waits: `50ms`.")
    jitter: Quantity | None = Field(None, description="Up to this much longer, order kept.")
    rate: Quantity | None = Field(None, description="Of IP packets: `10mbit`.")
    queue: Quantity | None = Field(None, description="Longest wait for the rate: `100ms`.")
    loss: Quantity | None = Field(None, description="Probability: `3%`.")
    duplicate: Quantity | None = Field(None, description="Probability: `3%`.")
    reorder: Quantity | None = Field(None, description="Probability of skipping the delay.")
    corrupt: Quantity | None = Field(None, description="Probability that a bit is turned.")
    burst_begin: Quantity | None = Field(
        None, alias="burst-begin", description="Probability at a packet that a loss burst begins."
    )
    burst_end: Quantity | None = Field(
        None, alias="burst-end", description="Probability at a packet of a burst that it ends."
    )
    burst_loss: Quantity | None = Field(
        None, alias="burst-loss", description="Probability of loss in a burst, `100%` if not said."
    )


def _firewall(value: object) -> object:
    """A list is the rules of a firewall whose policies are the kernel's: accept."""
    return {"rules": value} if isinstance(value, list) else value


class FirewallForm(Form):
    """Filter chains: a policy for each hook, and rules in order."""

    input: Literal["accept", "drop"] | None = Field(
        None, description="Policy for packets to this node that match no rule."
    )
    forward: Literal["accept", "drop"] | None = Field(
        None, description="The same for packets through this node."
    )
    output: Literal["accept", "drop"] | None = Field(
        None, description="The same for packets from this node."
    )
    rules: list[Word] = Field([], description="Rules in the short form, the first match decides.")


NextHop = Annotated["NextHopForm", BeforeValidator(route_text.next_hop), Short(STRING)]
Table = Annotated[
    Any, BeforeValidator(route_text.table), WithJsonSchema({"type": ["string", "integer"]})
]
Mark = Annotated[
    Any, BeforeValidator(route_text.mark), WithJsonSchema({"type": ["string", "integer"]})
]


class NextHopForm(Form):
    """One of several next hops of a route; the kernel chooses one for each flow by a hash."""

    via: Word | None = Field(None, description="The next hop: an address, or a neighbour's name.")
    dev: Word | None = Field(None, description="The interface, where it does not follow.")
    weight: Annotated[Integer, Field(ge=1, le=256)] = Field(1, description="Its share of flows.")

    @model_validator(mode="after")
    def _somewhere(self) -> NextHopForm:
        if self.via is None and self.dev is None:
            raise wrong("E251", "a next hop leads nowhere", "give `via`, `dev` or both")
        return self


class RouteForm(Form):
    """A static route, in the words of ip-route(8)."""

    to: Destination = Field(description="A subnet, or `default`.")
    via: Word | None = Field(
        None,
        description="The next hop: an address, or a neighbour's name; `inet6 r1` for an IPv4 route "
        "with an IPv6 next hop.",
    )
    dev: Word | None = Field(
        None, description="The interface; without `via` the destination is on its link."
    )
    src: Address | None = Field(
        None, description="An address of this node: the source of what it sends by this route."
    )
    metric: Annotated[Integer, Field(ge=1, le=4294967295)] | None = Field(
        None, description="Of routes to one destination the least wins; without it the first."
    )
    table: Table = Field(254, description="A table that `rules` lead to; else `main`.")
    type: Literal["unicast", "blackhole", "unreachable", "prohibit", "throw"] = Field(
        "unicast",
        description="`blackhole` drops, `unreachable` and `prohibit` refuse with an ICMP error, "
        "`throw` goes on with the next rule.",
    )
    nexthops: Annotated[list[NextHop], Field(min_length=2)] = Field(
        [], description="Several next hops, as `r1 weight 3`; a hash of the flow chooses."
    )

    @model_validator(mode="after")
    def _whole(self) -> RouteForm:
        ways = [name for name in ("via", "dev", "nexthops") if getattr(self, name)]
        if self.type != "unicast" and (ways or self.src):
            name = (ways or ["src"])[0]
            raise wrong("E251", f"a {self.type} route has no `{name}`", "leave it out")
        if self.type == "unicast" and not ways:
            raise wrong("E251", "a route leads nowhere", "give `via`, `dev` or `nexthops`")
        if self.nexthops and len(ways) > 1:
            raise wrong("E251", f"both `nexthops` and `{ways[0]}`", "keep one of the two")
        return self


class RuleForm(Form):
    """A routing rule, in the words of ip-rule(8): which table decides about which packets."""

    from_: Word | None = Field(
        None, alias="from", description="The source: an address, a subnet or a node."
    )
    to: Word | None = Field(None, description="The destination, likewise.")
    iif: Word | None = Field(
        None, description="The interface that a packet came in by; `lo` means the node's own."
    )
    oif: Word | None = Field(None, description="The interface that a socket is bound to.")
    fwmark: Mark | None = Field(
        None, description="A mark that nftables gave, as `7` or `0x10/0xff`."
    )
    priority: Annotated[Integer, Field(ge=1, le=32765)] | None = Field(
        None, description="The least is asked first; else 1000, 1001, … in this order."
    )
    table: Table | None = Field(None, description="The table to ask.")
    action: Literal["blackhole", "unreachable", "prohibit"] | None = Field(
        None, description="In place of a table: refuse."
    )
    family: Literal["ipv4", "ipv6"] | None = Field(
        None, description="Only this one; else all that the node has, or that of the addresses."
    )

    @model_validator(mode="after")
    def _one(self) -> RuleForm:
        if (self.table is None) == (self.action is None):
            raise wrong("E256", "a routing rule needs a table or an action", RULE_HINT)
        return self


class DirectoryForm(Form):
    """A directory that programs of one node have to themselves."""

    path: DirectoryPath = Field(description="Its absolute path, such as /var/lib/frr.")
    copy_: Boolean = Field(
        False, alias="copy", description="`true`: it begins as the machine's own; else empty."
    )


def _directory(value: object) -> object:
    """``/run/frr`` is ``{path: /run/frr}``."""
    return {"path": value} if isinstance(value, str) and not isinstance(value, Plain) else value


class StackForm(Form):
    """What a node of kind `stack` hands to its userspace TCP/IP stack by the device `tun0`."""

    address: Addresses = Field(
        [], description="Its addresses, one a family; without them the next free of the link."
    )


def _stack(value: object) -> object:
    """``stack: 10.0.0.9`` is ``stack: {address: 10.0.0.9}``."""
    value = nothing_is_empty(value)
    return {"address": value} if isinstance(value, (str, list)) else value


Stack = Annotated[StackForm, BeforeValidator(_stack), Short(STRING, LIST, {"type": "null"})]
Filter = Annotated[FirewallForm, BeforeValidator(_firewall), Short(LIST)]
Routes = list[Annotated[RouteForm, BeforeValidator(route_text.route), Short(STRING)]]
RoutingRules = list[Annotated[RuleForm, BeforeValidator(route_text.rule), Short(STRING)]]
Program = Annotated[ProgramForm, BeforeValidator(_run), Short(STRING, LIST)]
Programs = Annotated[dict[Label, Program], BeforeValidator(nothing_is_empty), NULL]


class NodeForm(Form):
    """A node: a network namespace of its own."""

    kind: Kind = Field(
        "host",
        description="`host` (ends traffic), `router` (passes it on), `nat` (passes it on and "
        "translates), `bridge` (an Ethernet switch) or `stack` (a host with a userspace stack).",
    )
    template: Annotated[list[Label], *one_or_more(STRING)] = Field(
        [], description="Templates that this node builds on; its own keys win, then the last."
    )
    count: Annotated[Integer, Field(ge=1, le=4096)] | None = Field(
        None, description="So many nodes: of `pc` become `pc1`, `pc2`, …; links to `pc` as well."
    )
    description: Text = Field("", description="A line for people.")
    isolated: Boolean = Field(
        False, description="`true` says that no path to the other nodes is meant."
    )
    outside: Words = Field([], description="kind nat: masquerade what leaves by these interfaces.")
    nat: NatForm | None = Field(None, description="kind nat: the long form of `outside`.")
    subnet: Subnets = Field([], description="kind bridge: the subnets of its LAN.")
    mtu: Mtu | None = Field(None, description="MTU of all interfaces of this node, in bytes.")
    ipv6_link_local: Boolean = Field(
        False,
        alias="ipv6-link-local",
        description="Whether its interfaces have link-local addresses (fe80::/10), as in the wild.",
    )
    stack: Stack | None = Field(None, description="kind stack: the stack's own address.")
    forwarding: Boolean | None = Field(
        None, description="Whether packets may pass through; follows from the kind."
    )
    gateway: Words = Field(
        [], description="Default gateways, an address or a neighbour's name, one a family."
    )
    routes: Routes = Field([], description="Static routes; they win over automatic ones.")
    rules: RoutingRules = Field(
        [], description="Routing rules: which table of routes decides about which packets."
    )
    automatic_routes: Boolean = Field(
        True, description="`false`: no routes but those written here."
    )
    firewall: Filter | None = Field(None, description="Filter rules in the short form.")
    middleboxes: list[Middlebox] = Field(
        [], description="Kinds that are made of rules, at a node that forwards."
    )
    nftables: Text = Field("", description="Raw nftables text, loaded after netlab's own.")
    sysctls: Annotated[dict[SysctlName, Text], BeforeValidator(nothing_is_empty), NULL] = Field(
        {}, description="Kernel settings below `net.`."
    )
    hosts: Boolean = Field(
        True, description="Whether /etc/hosts holds all nodes, so that names work."
    )
    files: Annotated[dict[FilePath, Text], BeforeValidator(nothing_is_empty), NULL] = Field(
        {}, description="Files that programs in this node see, by absolute path."
    )
    directories: list[Annotated[DirectoryForm, BeforeValidator(_directory), Short(STRING)]] = Field(
        [], description="Directories of this node's own, so that a program runs in several nodes."
    )
    environment: Environment = Field({}, description="Variables of all programs in this node.")
    isolate: Boolean = Field(
        False,
        description="Whether programs and commands get the network and nothing else: see "
        "docs/security.md.",
    )
    programs: Programs = Field({}, description="Programs that the lab starts, in this order.")


def _link(value: object) -> object:
    """``[a:eth0, b:eth0]`` is ``{ends: [a:eth0, b:eth0]}``."""
    return {"ends": value} if isinstance(value, list) else value


class LinkForm(ImpairmentForm):
    """A wire between two nodes."""

    ends: list[EndText] = Field(description="Its two ends, `node` or `node:interface`.")
    subnet: Subnets = Field(
        [], description="Its subnets, at most one a family; without it one is given."
    )
    families: Families | None = Field(
        None, description="Families of the subnets that are given when `subnet` is left out."
    )
    mtu: Mtu | None = Field(None, description="MTU of both ends, in bytes.")
    addresses: EndsAddresses = Field(
        {},
        description="Addresses of the ends by node, where they matter, with or without a prefix "
        "length; `none` for an end, or for the link, gives none.",
    )
    mac: Annotated[dict[NodeName, Mac], BeforeValidator(nothing_is_empty), NULL] = Field(
        {}, description="MAC addresses of the ends by node, where they matter."
    )
    outbound: ImpairmentForm | None = Field(
        None, description="From the first end to the second only; wins over the link's own."
    )
    inbound: ImpairmentForm | None = Field(None, description="The other way only.")
    preset: Word | None = Field(
        None,
        description="A known kind of access link: `dsl`, `wifi`, `4g` or `satellite`; its first "
        "end is the subscriber's. Other keys win over it.",
    )
    seed: Integer = Field(0, description="Where the random numbers of the link are drawn from.")
    middleboxes: list[Middlebox] = Field(
        [], description="Boxes in the wire, in the order from the first end."
    )

    @model_validator(mode="after")
    def _two(self) -> LinkForm:
        if len(self.ends) != 2:
            hint = (
                "a LAN of more is a node of `kind: bridge`"
                if len(self.ends) > 2
                else "as in `[a:eth0, b:eth0]`"
            )
            raise wrong("E223", f"a link has two ends, this one has {len(self.ends)}", hint)
        return self


class DefaultsForm(Form):
    """What holds where a link or a node says nothing."""

    mtu: Mtu = Field(1500, description="MTU of links, in bytes.")
    families: Families = Field(
        ["ipv4"], description="Families of the subnets that are given automatically."
    )
    neighbours: Literal["permanent", "dynamic"] = Field(
        "permanent",
        description="`permanent`: every ARP and ND entry is known from the start; `dynamic`: "
        "the kernel asks, as in the wild.",
    )
    node: NodeForm | None = Field(None, description="Keys for every node.")
    host: NodeForm | None = Field(None, description="Keys for every node of kind host.")
    router: NodeForm | None = Field(None, description="Keys for every node of kind router.")
    nat: NodeForm | None = Field(None, description="Keys for every node of kind nat.")
    bridge: NodeForm | None = Field(None, description="Keys for every node of kind bridge.")
    stack: NodeForm | None = Field(None, description="Keys for every node of kind stack.")


Node = Annotated[NodeForm, BeforeValidator(nothing_is_empty), NULL]
Nodes = Annotated[dict[NodeName, Node], BeforeValidator(nothing_is_empty), NULL]
Templates = Annotated[dict[Label, Node], BeforeValidator(nothing_is_empty), NULL]


class TopologyForm(Form):
    """A netlab topology file."""

    name: Label | None = Field(None, description="The lab's name; else the file's.")
    description: Text = Field("", description="What this lab shows.")
    defaults: Annotated[DefaultsForm, BeforeValidator(nothing_is_empty), NULL] = Field(
        DefaultsForm(),  # type: ignore[call-arg]
        description="What holds where a link or a node says nothing.",
    )
    templates: Templates = Field({}, description="Named sets of node keys to build nodes on.")
    nodes: Nodes = Field(description="The nodes by name.", min_length=1)
    links: list[Annotated[LinkForm, BeforeValidator(_link), Short(LIST)]] = Field(
        [], description="The wires; their order gives subnets and addresses."
    )
    disjoint: Boolean = Field(
        False, description="`true` says that parts without a wire between them are meant."
    )
    uplink: Boolean = Field(
        False, description="A way out to the machine's own network; not supported yet."
    )
