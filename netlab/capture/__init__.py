"""Collectors of packet evidence; none knows of another, none draws a conclusion.

evidence.py    what they deliver: the closed set of records
recording.py   evidence as a file, and back
capture.py     every frame on every interface         an AF_PACKET ring for each node
nft_trace.py   every rule that a packet met           netlink, and an nft table of our own
rules.py       a rule's text and comment, from its handle
drops.py       the kernel's own drop reasons          a BPF program at skb:kfree_skb
bpf.py btf.py  as much of bpf(2) and of BTF as that program needs
conntrack.py   entries that came, changed and went    netlink
counters.py    SNMP, conntrack and queue counters     /proc/net, netlink
netlink.py     as much of netlink as watching needs
collector.py   what all of them have in common; the thread that empties their buffers
session.py     all of them together, for as long as a ``with`` block lasts

Every one of them may be missing or lose something; that is evidence too (``Gap``).
"""
