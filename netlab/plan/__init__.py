"""PURE: from a topology to the operations that build it.

operations.py  the closed set of things that building may do
build.py       Topology -> Plan
nft.py         NAT and firewall -> nftables text, each rule with its line in the topology
authored.py    the same for rules that the author wrote in nft's language (statements.py)
render.py      Plan -> text for people, a shell script, JSON and back
"""
