"""Between IPv4 and IPv6: packets of one version become packets of the other.

SIIT is what RFC 7915 calls its algorithm, "stateless IP/ICMP translation". Together with a NAT on
its IPv4 side it is a stateful NAT64 (RFC 6146): IPv6 hosts talk to IPv4 servers.

    embedding.py    IPv4 addresses within IPv6 ones (RFC 6052)
    address_pool.py IPv4 addresses for IPv6 hosts
    messages.py     the numbers of ICMP and ICMPv6, each in terms of the other
    translator.py   whole packets, fragments and quotes in errors (RFC 7915)
"""

from netlab.siit.address_pool import AddressPool
from netlab.siit.embedding import Embedding
from netlab.siit.translator import Translator

__all__ = ["AddressPool", "Embedding", "Translator"]
