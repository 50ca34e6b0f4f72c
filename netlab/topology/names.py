"""What may be a name: of a lab, a node, an interface, a program.

A node's name becomes a host name, the file ``LAB.NODE`` below /run/netns and a word on command
lines; an interface's name becomes a path below /proc/sys and a word in nft rules. So both are
kept to what is plain in all of these. A word of the nft or ip languages is a name like any other:
nft rules have names in quotes, and `ip` takes any word behind `dev`.
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
RANGE_PATTERN = rf"^{_SAFE.pattern}(\[[0-9]+-[0-9]+\])?$"
"""With a range of numbers, as a file may have it."""

TAKEN_INTERFACES = frozenset(
    {
        # The loopback, and the two directories beside the devices below /proc/sys/net/*/conf.
        *("lo", "all", "default"),
        # Devices that a kernel with these modules puts into every new namespace.
        *("tunl0", "sit0", "ip6tnl0", "ip_vti0", "ip6_vti0"),
        *("gre0", "gretap0", "erspan0", "ip6gre0", "ip6gretap0"),
    }
)

ADDRESS = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
"""What inet_aton(3) and so getaddrinfo(3) read as an address before they ask for a name."""

TAKEN_NODES = frozenset({"localhost", "ip6-localhost", "ip6-loopback"})
"""Names in every /etc/hosts that mean the node itself (RFC 6761 section 6.3)."""


def node_problem(name: str) -> str:
    """Why ``name`` cannot be a node's or a lab's name; empty if it can."""
    if not name:
        return "is empty"
    if len(name) > MAX_NODE:
        return f"is {len(name)} characters long; at most {MAX_NODE} make a host name"
    if name.lower() in TAKEN_NODES:
        return "means the node itself wherever it is asked for"
    if ADDRESS.fullmatch(name):
        return "is an address to programs: ping would ask for no name"
    return _unsafe(name)


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
    return _unsafe(name)


def _unsafe(name: str) -> str:
    if _SAFE.fullmatch(name):
        return ""
    if name[0] in "-_":
        return "does not begin with a letter or digit"
    return "holds something other than ASCII letters, digits, `-` and `_`"


def show(name: str) -> str:
    """A name for a message: cut, and with control characters made visible."""
    short = name if len(name) <= 40 else name[:39] + "…"
    return short.encode("unicode_escape").decode() if not short.isprintable() else short


def lab_name(stem: str) -> str:
    """A lab's name made from a file's: ``my lab`` becomes ``my-lab``."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:MAX_NODE]
    return name or "lab"
