"""What the running kernel can do for a lab, tried one by one in a new network namespace each.

Prints a JSON object: the feature, and "yes", "no: " and what was said, or what there is. The table
of kernels and features in docs/limitations.md is made of it. Only the standard library: this file
is copied in.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

LIMIT = 30.0
"""Seconds for one attempt; loading a module takes a moment in an emulated machine."""

PAIR = "ip link add name va type veth peer name vb && ip link set va up && ip link set vb up && "
NFT = "nft add table inet t && "
CHAIN = "nft add chain inet t c '{ type filter hook forward priority 0; }' && "

REASONS = (
    "IP_LOCAL_SOURCE", "QDISC_OVERLIMIT", "QUEUE_PURGE", "SOCKET_CLOSE", "TCP_LISTEN_OVERFLOW",
    "TCP_OLD_SEQUENCE",
)  # fmt: skip

COMMANDS = {
    "veth, bridge": PAIR + "ip link add name s type bridge && ip link set vb master s",
    "macvlan": PAIR + "ip link add link va name m type macvlan mode bridge",
    "ipvlan": PAIR + "ip link add link va name m type ipvlan mode l2",
    "VLAN (802.1Q)": PAIR + "ip link add link va name v type vlan id 7",
    "VLAN-aware bridge": "ip link add name s type bridge vlan_filtering 1",
    "VRF": "ip link add name v type vrf table 7",
    "dummy": "ip link add name d type dummy",
    "VXLAN": "ip link add name v type vxlan id 7 dstport 4789 local 192.0.2.1 remote 192.0.2.2",
    "GENEVE": "ip link add name g type geneve id 7 remote 192.0.2.2",
    "GRE": "ip link add name g type gre local 192.0.2.1 remote 192.0.2.2",
    "IPIP": "ip link add name g type ipip local 192.0.2.1 remote 192.0.2.2",
    "SIT (6in4)": "ip link add name g type sit local 192.0.2.1 remote 192.0.2.2",
    "WireGuard": "ip link add name w type wireguard",
    "TUN": "ip tuntap add t mode tun",
    "tbf": PAIR + "tc qdisc add dev va root tbf rate 1mbit burst 4k latency 50ms",
    "htb": PAIR + "tc qdisc add dev va root handle 1: htb && "
    "tc class add dev va parent 1: classid 1:1 htb rate 1mbit",
    "netem": PAIR + "tc qdisc add dev va root netem delay 10ms loss 1%",
    "fq_codel": PAIR + "tc qdisc add dev va root fq_codel",
    "cake": PAIR + "tc qdisc add dev va root cake bandwidth 1mbit",
    "tc police": PAIR + "tc qdisc add dev va clsact && tc filter add dev va ingress matchall "
    "action police rate 1mbit burst 4k",
    "ifb": "ip link add name i type ifb",
    "nft NAT": NFT + "nft add chain inet t c '{ type nat hook postrouting priority 100; }' && "
    "nft add rule inet t c masquerade",
    "nft queue": NFT + CHAIN + "nft add rule inet t c queue num 0",
    "nft synproxy": NFT + CHAIN + "nft add rule inet t c synproxy mss 1460 wscale 7",
    "nft socket": NFT + "nft add chain inet t c '{ type filter hook prerouting priority 0; }' && "
    "nft add rule inet t c socket transparent 1 accept",
    "nft tproxy": NFT + "nft add chain inet t c '{ type filter hook prerouting priority 0; }' && "
    "nft add rule inet t c meta l4proto tcp tproxy ip to :50080",
    "nft flowtable": PAIR + NFT + CHAIN + "nft add flowtable inet t f "
    "'{ hook ingress priority 0; devices = { va, vb }; }' && nft add rule inet t c flow add @f",
    "conntrack, its times": "sysctl -qw net.netfilter.nf_conntrack_timestamp=1",
    "MPTCP": "sysctl -qw net.mptcp.enabled=1",
    "IPv6 segment routing": "ip -6 route add 2001:db8::/32 encap seg6 mode encap "
    "segs 2001:db8:1::1 dev lo",
    "user namespaces for users": "setpriv --reuid=65534 --regid=65534 --clear-groups "
    "unshare --user --map-root-user --net true",
}


def main() -> None:
    """Try all and print what came out."""
    found = {name: attempt(line) for name, line in COMMANDS.items()}
    found["BTF"] = "yes" if Path("/sys/kernel/btf/vmlinux").exists() else "no"
    found |= drop_reasons()
    print(json.dumps(found, indent=2))


def attempt(line: str) -> str:
    """Whether the shell line succeeds in a namespace of its own; else the first complaint."""
    try:
        ran = subprocess.run(
            ["unshare", "--net", "sh", "-c", f"ip link set lo up && {line}"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"no: nothing after {LIMIT:.0f} s"
    said = (ran.stderr + ran.stdout).strip() or f"exit code {ran.returncode}"
    return f"no: {said.splitlines()[0]}" if ran.returncode else "yes"


def drop_reasons() -> dict[str, str]:
    """What the tracepoint skb:kfree_skb says; its format needs a tracefs."""
    form = Path("/sys/kernel/tracing/events/skb/kfree_skb/format")
    if not form.exists():
        return {}
    text = form.read_text()
    names = re.findall(r'\{ *\d+, *"(\w+)" *\}', text)
    return {
        **{f"drop reason {name}": "yes" if name in names else "no" for name in REASONS},
        "drop reasons": f"{len(names)} names" if names else "none",
        "drop reasons: the receiving socket (rx_sk)": "yes" if "rx_sk" in text else "no",
    }


if __name__ == "__main__":
    main()
