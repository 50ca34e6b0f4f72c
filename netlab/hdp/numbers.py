"""The 256 protocol numbers of IPv4, which are also IPv6's next headers.

Names are the keywords of IANA's registry "Assigned Internet Protocol Numbers", shortened where
they would not fit into a cell of the grid.
"""

from __future__ import annotations

_KEYWORDS = """
    HOPOPT ICMP IGMP GGP IPv4 ST TCP CBT
    EGP IGP BBN-RCC NVP-II PUP ARGUS EMCON XNET
    CHAOS UDP MUX DCN HMP PRM XNS-IDP TRUNK-1
    TRUNK-2 LEAF-1 LEAF-2 RDP IRTP ISO-TP4 NETBLT MFE-NSP
    MERIT DCCP 3PC IDPR XTP DDP IDPR-CM TP++
    IL IPv6 SDRP v6-Route v6-Frag IDRP RSVP GRE
    DSR BNA ESP AH I-NLSP SWIPE NARP MOBILE
    TLSP SKIP ICMPv6 v6-NoNxt v6-Opts any-host CFTP any-net
    SATEXPAK KRYPTO RVD IPPC any-dfs SAT-MON VISA IPCV
    CPNX CPHB WSN PVP BR-SAT SUN-ND WB-MON WB-EXP
    ISO-IP VMTP SVMTP VINES IPTM NSFNET DGP TCF
    EIGRP OSPF SPRITE LARP MTP AX.25 IPIP MICP
    SCC-SP ETHERIP ENCAP any-priv GMTP IFMP PNNI PIM
    ARIS SCPS QNX A/N IPComp SNP COMPAQ IPX-IP
    VRRP PGM any-0hop L2TP DDX IATP STP SRP
    UTI SMP SM PTP ISIS FIRE CRTP CRUDP
    SSCOP IPLT SPS PIPE SCTP FC RSVP-E2E Mobility
    UDPLite MPLS-IP manet HIP Shim6 WESP ROHC Ethernet
    AGGFRAG NSH Homa BIT-EMU
"""

NAMES: dict[int, str] = dict(enumerate(_KEYWORDS.split())) | {253: "test-1", 254: "test-2"}

WIRE_NUMBERS = range(256)

ARGUMENTS_V4 = range(-1, 263)
"""What socket() is asked for: one below and, Linux having made room for MPTCP (262), some above.

The kernel takes 0 ... 262 (IPPROTO_MAX is 263, include/uapi/linux/in.h) and the header's field
keeps the low eight bits: 256 leaves as 0, 262 as 6.
"""

ARGUMENTS_V6 = range(256)

IPPROTO_RAW = 255


def arguments(family: int) -> range:
    """The socket arguments of a full sweep of that family, 4 or 6."""
    return ARGUMENTS_V4 if family == 4 else ARGUMENTS_V6


def on_the_wire(argument: int) -> int:
    """The protocol number in the IP header of a packet from a raw socket made for ``argument``."""
    return argument & 0xFF


def name(number: int) -> str:
    """IANA's keyword; empty for a number that is unassigned or reserved."""
    return NAMES.get(number, "")
