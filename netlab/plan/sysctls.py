"""The kernel settings that make a lab silent and repeatable: what, and why.

A new namespace talks by itself: it probes for duplicate addresses, solicits routers, reports
multicast groups. Each such packet would race with the ones that the user sends. Settings for
``conf.default`` must be written before a link exists; they count for links made afterwards.
A namespace also inherits some values from the machine, so what matters is always written.
"""

from __future__ import annotations

from typing import NamedTuple


class Setting(NamedTuple):
    """One sysctl: its dotted name, its value and why it is set."""

    key: str
    value: str
    why: str


EVERY_NODE = (
    Setting("net.ipv4.conf.all.rp_filter", "0", "asymmetric paths are part of a lab"),
    Setting("net.ipv4.conf.default.rp_filter", "0", "asymmetric paths are part of a lab"),
    # icmp_ratelimit=0 would leave the limit of all errors together: 50 at once, 1000 a second.
    Setting("net.ipv4.icmp_ratemask", "0", "each packet gets its ICMP error"),
)

FORWARDS_IPV4 = (Setting("net.ipv4.ip_forward", "1", "this node passes packets on"),)

RESET_OTHERS = frozenset(
    {
        "net.ipv4.ip_forward",
        "net.ipv4.conf.all.forwarding",
        "net.ipv6.conf.all.forwarding",
        "net.ipv6.conf.all.disable_ipv6",
    }
)
"""Writing one of these sets the same of ``default`` and of interfaces, so it has to come first
(inet_forward_change in net/ipv4/devinet.c, addrconf_forward_change in net/ipv6/addrconf.c)."""

HAIRPINNING = (
    Setting("net.ipv4.conf.all.send_redirects", "0", "a hairpinned packet is not a detour"),
    Setting("net.ipv4.conf.default.send_redirects", "0", "a hairpinned packet is not a detour"),
)

NO_IPV6 = (Setting("net.ipv6.conf.all.disable_ipv6", "1", "the lab has no IPv6 here"),)
"""The kernel copies this one to ``conf.default`` (addrconf_disable_ipv6 in net/ipv6/addrconf.c)."""

IPV6 = (
    Setting("net.ipv6.conf.default.accept_dad", "0", "addresses are ready at once"),
    Setting("net.ipv6.conf.default.dad_transmits", "0", "no duplicate address detection"),
    Setting("net.ipv6.conf.default.accept_ra", "0", "addresses and routes come from the file"),
    Setting("net.ipv6.conf.default.router_solicitations", "0", "no router solicitation"),
    Setting("net.ipv6.conf.default.addr_gen_mode", "1", "only the addresses of the file"),
    # A list of types, which cannot be written empty; no message has type 0.
    Setting("net.ipv6.icmp.ratemask", "0", "each packet gets its ICMPv6 error"),
)

LINK_LOCAL = (
    # ndisc_solicit() in net/ipv6/ndisc.c: for what it forwards a router asks from no other address.
    Setting("net.ipv6.conf.default.addr_gen_mode", "0", "it asks neighbours from link-local"),
)
"""For a router without permanent neighbours."""

ASKED_LINK_LOCAL = (
    Setting("net.ipv6.conf.default.addr_gen_mode", "0", "the file asks for link-local addresses"),
)

FORWARDS_IPV6 = (Setting("net.ipv6.conf.all.forwarding", "1", "this node passes packets on"),)

BRIDGE = (
    Setting("net.bridge.bridge-nf-call-iptables", "0", "a switch has no IP firewall"),
    Setting("net.bridge.bridge-nf-call-ip6tables", "0", "a switch has no IP firewall"),
    Setting("net.bridge.bridge-nf-call-arptables", "0", "a switch has no ARP firewall"),
)
"""Present only where the machine has loaded bridge netfilter."""

NO_MLD = """\
table ip6 netlab_quiet {
\tchain output {
\t\ttype filter hook output priority raw; policy accept;
\t\ticmpv6 type { mld-listener-report, mld-listener-done, mld2-listener-report } drop
\t}
}
"""
"""No multicast listener reports (RFC 3810), for nodes with IPv6.

Every IPv6 address joins a group and reports it, again whenever the carrier changes, up to two
seconds after the link came up. No setting turns that off: ``mldv2_unsolicited_report_interval``
only moves it, ``force_mld_version`` only rewrites it. In a lab no router listens, so the reports
are dropped where they are made. To be loaded before a link is up.

Nothing else is needed: with all of the above and permanent neighbours a dual-stack lab sent not
one frame by itself (AF_PACKET on every interface from before the links existed; Linux 6.18). IPv4
is silent without help: 224.0.0.1 is never reported (RFC 3376 section 5), and there is no ARP.
"""
