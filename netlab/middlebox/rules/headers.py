"""Header fields that are rewritten on the way, and options that are not liked."""

from __future__ import annotations

from netlab.middlebox.kind import Kind, Row, Rules
from netlab.middlebox.parameters import Parameter
from netlab.middlebox.rules import BEFORE_FILTER
from netlab.middlebox.tracebox import LOST

# nft names the options that it knows; any other goes by its number.
OPTIONS = {
    "mss": "maxseg",
    "window-scale": "window",
    "sack-permitted": "sack-perm",
    "sack": "sack",
    "timestamps": "timestamp",
    "tfo": "34",
    "mptcp": "30",
    "experiment-1": "253",
    "experiment-2": "254",
}


def _forward(*statements: str) -> Rules:
    return Rules(tuple(Row("forward", BEFORE_FILTER, s) for s in statements))


def mss_clamp(mss: int) -> Rules:
    """At most ``mss`` in the MSS option of SYNs."""
    return _forward(
        f"tcp flags & syn == syn tcp option maxseg size > {mss}"
        f" counter tcp option maxseg size set {mss}"
    )


def option_nop(option: str) -> Rules:
    """The option's octets become NOPs."""
    name = OPTIONS[option]
    return _forward(f"tcp option {name} exists counter reset tcp option {name}")


def option_drop(options: tuple[str, ...], on: str) -> Rules:
    """Segments that carry one of the options."""
    match = {"syn": "tcp flags & syn == syn ", "data": "tcp flags & syn == 0 ", "any": ""}[on]
    return _forward(
        *(f"{match}tcp option {OPTIONS.get(o, o)} exists counter drop" for o in options)
    )


def ecn(to: str) -> Rules:
    """The ECN field of every packet that is ECN-capable, or of every packet."""
    which = "{ ect0, ect1 }" if to == "ce" else f"!= {to}"
    return _forward(
        f"meta nfproto ipv4 ip ecn {which} counter ip ecn set {to}",
        f"meta nfproto ipv6 ip6 ecn {which} counter ip6 ecn set {to}",
    )


def dscp(to: int) -> Rules:
    """The DSCP of every packet."""
    return _forward(
        f"meta nfproto ipv4 counter ip dscp set {to}",
        f"meta nfproto ipv6 counter ip6 dscp set {to}",
    )


def ttl(to: int) -> Rules:
    """The TTL or hop limit of every packet that is passed on."""
    return _forward(
        f"meta nfproto ipv4 counter ip ttl set {to}",
        f"meta nfproto ipv6 counter ip6 hoplimit set {to}",
    )


def ip_id(to: int) -> Rules:
    """The IP identification of every IPv4 packet."""
    return _forward(f"meta nfproto ipv4 counter ip id set {to}")


# The SYN that ``changes`` speaks of.
PROBE_MSS = 1400
PROBE_DSCP = 46
PROBE_ECN = "ect1"
PROBE_ID = 4711
PROBE_TTL = 33
PROBE_OPTIONS = {"mss", "sack-permitted", "timestamps", "window-scale", "2", "3", "4", "8"}
TRACEBOX = {
    "mss": "MSS",
    "window-scale": "WScale",
    "sack-permitted": "SACKP",
    "timestamps": "Timestamp",
}

KINDS = (
    Kind(
        "mss-clamp",
        "Lowers the MSS option of SYNs, so that full segments fit a tunnel behind the box without"
        " path MTU discovery. A SYN without the option stays without: see mss-add.",
        "RFC 2923 section 3; Hesmans et al. 2013",
        "Segments are no longer than the clamp; in tracebox notation `TCP::Option_MSS`.",
        (Parameter("mss", "integer", "octets", 900, least=88, most=65495),),
        rules=mss_clamp,
        changes=lambda mss: ("TCP::Option_MSS",) if mss < PROBE_MSS else (),
    ),
    Kind(
        "option-nop",
        "Overwrites one TCP option with NOPs, wherever it occurs. The header keeps its length.",
        "Honda et al. 2011; Hesmans et al. 2013",
        "The option is not negotiated, with no loss; in tracebox notation `-TCP::Option_SACKP`.",
        (
            Parameter(
                "option",
                "choice",
                "which option",
                "sack-permitted",
                choices=tuple(OPTIONS),
            ),
        ),
        rules=option_nop,
        changes=lambda option: (f"-TCP::Option_{TRACEBOX[option]}",) if option in TRACEBOX else (),
    ),
    Kind(
        "option-drop",
        "Drops segments that carry a TCP option that the box does not know or does not like.",
        "Honda et al. 2011 (unknown options in SYN and in data)",
        "A SYN with the option meets silence, one without is answered: fall back after a timeout.",
        (
            Parameter(
                "options",
                "words",
                f"by number, or one of {', '.join(OPTIONS)}",
                ("tfo", "mptcp", "experiment-1", "experiment-2"),
            ),
            Parameter(
                "on",
                "choice",
                "on SYNs, on later segments or on any",
                "syn",
                choices=("syn", "data", "any"),
            ),
        ),
        rules=option_drop,
        changes=lambda options, on: LOST if on != "data" and PROBE_OPTIONS & {*options} else (),
    ),
    Kind(
        "ecn-bleach",
        "Sets the two ECN bits: to not-ect, as routers do that take them for the old type of"
        " service, or to ce, which says congestion for ever.",
        "RFC 3168 section 5; RFC 6040; tracebox 2013",
        "The bits differ between sender and receiver; in tracebox notation `IP::ECN`.",
        (
            Parameter(
                "to",
                "choice",
                "what the field becomes; ce only where it was not not-ect",
                "not-ect",
                choices=("not-ect", "ect0", "ect1", "ce"),
            ),
        ),
        rules=ecn,
        changes=lambda to: () if to == PROBE_ECN else ("IP::ECN",),
    ),
    Kind(
        "dscp-bleach",
        "Sets the DSCP of whatever passes, as networks do at their border.",
        "RFC 2474; Barik et al. 2020 (fling: a DSCP alone can cause loss)",
        "The DSCP differs between sender and receiver; in tracebox notation `IP::DSCP`.",
        (Parameter("to", "integer", "the new DSCP", 0, least=0, most=63),),
        rules=dscp,
        changes=lambda to: () if to == PROBE_DSCP else ("IP::DSCP",),
    ),
    Kind(
        "ttl-normalise",
        "Gives each packet the same TTL or hop limit, which hides how far its sender is and lets"
        " loops live.",
        "RFC 3234 (normalisers); Handley, Paxson, Kreibich 2001",
        "All packets arrive with one TTL; traceroute does not see what is before the box.",
        (Parameter("to", "integer", "the new TTL", 64, least=1, most=255),),
        rules=ttl,
        changes=lambda **_: ("IP::TTL",),
    ),
    Kind(
        "ip-id",
        "Rewrites the identification of IPv4 packets. Fragments made before the box can no longer"
        " be distinguished.",
        "tracebox 2013 (`IP::ID`); RFC 6864",
        "All packets arrive with one identification; in tracebox notation `IP::ID`.",
        (Parameter("to", "integer", "the new identification", 0, least=0, most=65535),),
        rules=ip_id,
        changes=lambda to: () if to == PROBE_ID else ("IP::ID",),
    ),
)
