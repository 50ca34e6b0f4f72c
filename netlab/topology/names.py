"""What may be a name: of a lab, a node, an interface, a program.

A node's name becomes a host name, the file ``LAB.NODE`` below /run/netns and a word on command
lines; an interface's name becomes a path below /proc/sys and a word in nft rules. So both are
kept to what is plain in all of these, and no word of the nft or ip languages is one.
"""

from __future__ import annotations

import re

MAX_INTERFACE_BYTES = 15
"""IFNAMSIZ less the terminating NUL (include/uapi/linux/if.h); bytes, not characters."""
MAX_NODE = 63
"""A label of a host name (RFC 1123 section 2.1)."""

NODE_HINT = "letters, digits, `-` and `_`, as in `server-1`"
INTERFACE_HINT = "at most 15 letters, digits, `-` and `_`, as in `eth0`"

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
SAFE_PATTERN = rf"^{_SAFE.pattern}$"

TAKEN_INTERFACES = frozenset(
    {
        # The loopback, and the two directories beside the devices below /proc/sys/net/*/conf.
        *("lo", "all", "default"),
        # Devices that a kernel with these modules puts into every new namespace.
        *("tunl0", "sit0", "ip6tnl0", "ip_vti0", "ip6_vti0"),
        *("gre0", "gretap0", "erspan0", "ip6gre0", "ip6gretap0"),
    }
)

# Words of the nftables 1.0 scanner, and those of ip-address(8) and ip-route(8) that may take the
# place of a device. Left out are everyday words that nft takes only as a field or a value behind
# another word (`right`, `second`, `gateway`), so that they are never mistaken.
LANGUAGE_WORDS = frozenset(
    """
    accept ackseq add addr ah arp bypass cfi cgroup cgroupv2 chain chains checksum comment comp
    constant continue counter counters cpi cpu create csumcov ct cwr daddr dccp define dei
    delete destroy dev device devices dn dnat doff down dport drop dscp dst dup dynamic ecn ecne
    element elements eol error esp ether expiration expires export exthdr fanout fastopen fib
    flowlabel flowtable flowtables flush forward frag fwd get goto handle hash hbh hdrlength
    helper helpers hook hooks hoplimit htype ibriport ibrname icmp icmpv6 icmpx igmp iif
    iifgroup iifname iiftype import in include inet insert interval ip ip6 ipsec jhash json jump
    l3proto limit limits list ll log lsrr map maps mark masquerade meta meter meters mh mod
    mptcp mrt mss mtu nat64 netdev nexthdr nftrace nh nop not notrack num numgen
    obriport obrname offload oif oifgroup oifname oiftype or osf out persistent pkttype policy
    priority ptr ptype queue quota quotas redefine redirect reject rename replace reqid return
    rr rt rt0 rt2 rtclassid rule rules ruleset sack saddr sctp secmark secmarks seq seqno set
    sets skgid skuid snaplen snat socket spi sport srh ssrr subtype symhash synproxy synproxys
    table tables tcp th to tproxy trace transparent tsecr tsval ttl type typeof udp udplite
    undefine until up update urgptr via vlan vm vmap vtag wildcard wscale xml xor xt
    """.split()  # noqa: SIM905 - three hundred quoted words would be unreadable
)


def node_problem(name: str) -> str:
    """Why ``name`` cannot be a node's or a lab's name; empty if it can."""
    if not name:
        return "is empty"
    if len(name) > MAX_NODE:
        return f"is {len(name)} characters long; at most {MAX_NODE} make a host name"
    return _unsafe(name) or _language(name)


def label_problem(name: str) -> str:
    """Why ``name`` cannot be a program's or a template's name; empty if it can."""
    if not name:
        return "is empty"
    return f"is longer than {MAX_NODE} characters" if len(name) > MAX_NODE else _unsafe(name)


def interface_problem(name: str) -> str:
    """Why ``name`` cannot be an interface's name; empty if it can."""
    if not name:
        return "is empty"
    size = len(name.encode("utf-8", "surrogatepass"))
    if size > MAX_INTERFACE_BYTES:
        return f"is {size} bytes long; Linux allows {MAX_INTERFACE_BYTES}"
    if name in TAKEN_INTERFACES:
        return "is taken: every network namespace has one of its own"
    return _unsafe(name) or _language(name)


def _unsafe(name: str) -> str:
    if _SAFE.fullmatch(name):
        return ""
    if name[0] in "-_":
        return "does not begin with a letter or digit"
    return "holds something other than ASCII letters, digits, `-` and `_`"


def _language(name: str) -> str:
    if name in LANGUAGE_WORDS:
        return "is a word of the nft or ip language, which would read it as such"
    return ""


def hint(name: str, rule: str) -> str:
    """What to do about a name that was refused: ``rule``, or a name close by."""
    return f"such as `{name[:12]}1`" if name in LANGUAGE_WORDS else rule


def show(name: str) -> str:
    """A name for a message: cut, and with control characters made visible."""
    short = name if len(name) <= 40 else name[:39] + "…"
    return short.encode("unicode_escape").decode() if not short.isprintable() else short


def lab_name(stem: str) -> str:
    """A lab's name made from a file's: ``my lab`` becomes ``my-lab``."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:MAX_NODE]
    return name or "lab"
