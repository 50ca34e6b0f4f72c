"""Between IPv4 and IPv6: packets of one version become packets of the other.

SIIT is what RFC 7915 calls its algorithm, "stateless IP/ICMP translation". Together with a NAT on
its IPv4 side it is a stateful NAT64 (RFC 6146): IPv6 hosts talk to IPv4 servers.
"""

from netlab.siit.address_pool import AddressPool
from netlab.siit.embedding import Embedding
from netlab.siit.translator import Translator

__all__ = ["AddressPool", "Embedding", "Translator"]
