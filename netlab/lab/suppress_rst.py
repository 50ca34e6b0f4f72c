"""The kernel's TCP kept quiet for one port, for as long as this process lives.

A program that answers TCP by a packet socket has a rival: the kernel, which knows nothing of the
connection and resets it. An open raw or packet socket does not stop that. Either the address is
one that the kernel does not own, or its resets are dropped on their way out, as here.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, LabError, Unavailable
from netlab.linux.libnftables import HINT

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def held_back(address: str, port: int) -> Iterator[None]:
    """Drop the kernel's resets from this address and port, in the calling thread's namespace.

    The table is marked as owned by this process's netlink socket (nft(8), ``flags owner``): the
    kernel removes it with the process, even one that was killed, and nobody else can change it.

    Raises:
        LabError: nft refused the rule.
        Unavailable: the rule needs a right that is missing.
    """
    try:
        import nftables

        context = nftables.Nftables()
    except (ImportError, OSError) as error:
        message = f"rules need libnftables: {error}"
        raise Unavailable(Diagnostic("E407", message, hint=HINT)) from None
    family = "ip6" if ipaddress.ip_address(address).version == 6 else "ip"
    name = f"netlab_resets_{os.getpid()}_{port}"
    code, _, errors = context.cmd(
        f"table {family} {name} {{ flags owner; chain output {{"
        f" type filter hook output priority 0;"
        f" {family} saddr {address} tcp sport {port} tcp flags & rst == rst counter drop; }}; }}"
    )
    if code:
        problem = f"the kernel's resets cannot be held back: {' '.join(errors.split())}"
        hint = "listen on an address that the kernel does not own"
        raise LabError(Diagnostic("E801", problem, hint=hint))
    try:
        yield
    finally:
        context.cmd(f"delete table {family} {name}")
