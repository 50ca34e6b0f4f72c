"""What answers, counts or remembers."""

from __future__ import annotations

from netlab.middlebox.kind import Kind, Row, Rules, depends
from netlab.middlebox.parameters import Parameter
from netlab.middlebox.rules import BEFORE_CONNTRACK, BEFORE_FILTER
from netlab.middlebox.rules import protocols as of
from netlab.middlebox.tracebox import LOST


def _forward(*statements: str) -> Rules:
    return Rules(tuple(Row("forward", BEFORE_FILTER, s) for s in statements))


def reset(after: int, ports: tuple[int, ...]) -> Rules:
    """A reset for the sender of the packet that comes after ``after`` others of its direction."""
    where = f"tcp dport {{ {', '.join(map(str, ports))} }} " if ports else "meta l4proto 6 "
    return _forward(
        f"{where}ct direction original ct original packets > {after} counter reject with tcp reset"
    )


def policer(packets: int, burst: int, protocols: tuple[str, ...]) -> Rules:
    """A token bucket without a queue."""
    return _forward(
        f"{of(protocols)} limit rate over {packets}/second burst {burst} packets counter drop"
    )


def idle_timeout(seconds: float) -> Rules:
    """A flow that was silent for too long is forgotten, and its packets with it."""
    flow = "ct original ip saddr . meta l4proto . ct original proto-src . ct original proto-dst"
    types = "ipv4_addr . inet_proto . inet_service . inet_service"
    with_ports = "meta nfproto ipv4 meta l4proto { 6, 17 } "
    timeout = f"timeout {max(round(seconds), 1)}s"
    return Rules(
        (
            Row(
                "forward",
                BEFORE_FILTER,
                f"{with_ports}ct state established {flow} != @idle_flows counter drop",
            ),
            Row("forward", BEFORE_FILTER, f"{with_ports}counter update @idle_flows {{ {flow} }}"),
        ),
        (f"set idle_flows {{ type {types}; flags dynamic,timeout; {timeout}; size 65535; }}",),
    )


SYN_ONLY = "tcp flags & (fin | syn | rst | ack) == syn"


def syn_proxy(mss: int, window_scale: int, ports: tuple[int, ...]) -> Rules:
    """The box completes the handshake with the client before the server hears of it."""
    where = f"tcp dport {{ {', '.join(map(str, ports))} }}" if ports else "meta l4proto 6"
    return Rules(
        (
            Row("prerouting", BEFORE_CONNTRACK, f"{where} {SYN_ONLY} counter notrack"),
            # No `timestamp`: with it the server drops the ACK that the box forges.
            Row(
                "forward",
                BEFORE_FILTER,
                f"{where} ct state invalid,untracked counter"
                f" synproxy mss {mss} wscale {window_scale} sack-perm",
            ),
            Row("forward", BEFORE_FILTER, f"{where} ct state invalid counter drop"),
        ),
        sysctls=(("net.netfilter.nf_conntrack_tcp_loose", "0"),),
    )


def _lost_at_port_80(*, ports: tuple[int, ...], **_: object) -> tuple[str, ...]:
    return LOST if not ports or 80 in ports else ()


PORTS = Parameter("ports", "integers", "destination ports; none means all", (), 1, 65535)

KINDS = (
    Kind(
        "reset",
        "Answers with a TCP reset: at once (`after: 0`), so that a port looks closed, or after some"
        " packets, in the middle of a connection.",
        "RFC 3360; Honda et al. 2011",
        "Connection refused, or connection reset after the declared number of segments.",
        (
            Parameter("after", "integer", "packets of a connection that still pass", 0, 0, 1 << 31),
            PORTS,
        ),
        rules=reset,
        changes=lambda after, ports: _lost_at_port_80(ports=ports) if after == 0 else (),
    ),
    Kind(
        "policer",
        "Drops what exceeds a rate. It has no queue, so no delay warns a sender.",
        "RFC 2475 section 2.3.3.3; RFC 3234 section 2.8",
        "Loss beyond the rate, none below, and no growing round-trip time.",
        (
            Parameter("packets", "integer", "packets per second", 100, 1, 10_000_000),
            Parameter("burst", "integer", "packets that may come at once", 5, 1, 1_000_000),
            Parameter("protocols", "protocols", "IP protocols", ("tcp", "udp", "icmp")),
        ),
        rules=policer,
        changes=depends,
        arrivals=depends,
    ),
    Kind(
        "idle-timeout",
        "Forgets a flow that was silent for too long, and then drops its packets without a word,"
        " although it would let a new flow begin.",
        "Hätönen et al. 2010; RFC 5382 REQ-5",
        "A connection that rested longer than the timeout hangs: no answer, no reset.",
        (Parameter("seconds", "duration", "at least one second", 30.0, 1, 1e6),),
        rules=idle_timeout,
    ),
    Kind(
        "syn-proxy",
        "Answers SYNs itself with a cookie; the server learns only of clients that answer in turn."
        " Options of the client are lost but for those that the box itself offers.",
        "RFC 4987 section 3.6; Linux synproxy",
        "A SYN to a server that is down is answered all the same; no timestamps are negotiated.",
        (
            Parameter("mss", "integer", "what the box offers", 1460, 88, 65495),
            Parameter(
                "window-scale",
                "integer",
                "of the server; the client is offered none, as that would need timestamps",
                7,
                0,
                14,
            ),
            PORTS,
        ),
        rules=syn_proxy,
        changes=_lost_at_port_80,
    ),
)
