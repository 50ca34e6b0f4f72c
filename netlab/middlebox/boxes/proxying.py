"""The kind that ends connections; its program is loaded only where it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.middlebox.flow_table import IDLE
from netlab.middlebox.kind import Kind
from netlab.middlebox.parameters import Parameter

if TYPE_CHECKING:
    from netlab.middlebox.box import Middlebox


def _transparent_proxy(accept: str, flows: int, idle: float, buffer: int) -> Middlebox:
    from netlab.middlebox.boxes.transparent import TransparentProxy

    return TransparentProxy(at_once=accept == "at-once", flows=flows, idle=idle, buffer=buffer)


KINDS = (
    Kind(
        "transparent-proxy",
        "Terminates the client's TCP connection and opens its own to the server, both under the"
        " addresses of the ends, which notice nothing. Only the octets pass: sequence numbers,"
        " segment bounds, options, urgent data and ECN are each side's own, and an ACK says that"
        " the proxy has the data, not that the server has.",
        "RFC 3234 sections 2.4 (transport relay) and 2.18; RFC 3135 section 2.4 (split"
        " connections); Honda et al. 2011 (proxies)",
        "An unknown option of the SYN does not reach the server; the client is connected although"
        " the server refuses, and reset afterwards.",
        (
            Parameter(
                "accept",
                "choice",
                "the client's SYN: at-once, or when the server has accepted the proxy's",
                "at-once",
                choices=("at-once", "after-server"),
            ),
            Parameter(
                "flows",
                "integer",
                "connections; beyond that those that have not begun go, or new ones are ignored",
                1024,
                1,
                1 << 20,
            ),
            IDLE,
            Parameter(
                "buffer", "integer", "octets of each direction that wait", 1 << 18, 1460, 1 << 30
            ),
        ),
        box=_transparent_proxy,
    ),
)
