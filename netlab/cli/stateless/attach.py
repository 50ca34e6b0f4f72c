"""Where segments come in: an interface of this node, or a TUN device."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.errors import Diagnostic, InputError, LabError, Unavailable

if TYPE_CHECKING:
    import argparse

    from netlab.cli.stateless.values import Endpoint
    from netlab.io.stateless.ports import Port


def port(arguments: argparse.Namespace, where: Endpoint, fanout: int | None) -> Port:
    """Open it; workers with one ``fanout`` number share what comes in."""
    from netlab.io.stateless import bpf, ports

    offload = not arguments.no_offload
    try:
        if arguments.tun is not None:
            from netlab.linux import tun

            socket.if_nametoindex(arguments.tun)  # attaching would make one that is not there
            return ports.TunPort(tun.attach(arguments.tun, offload=offload), offload=offload)
        # Long answers go on by the client's pure acknowledgements.
        acks = bool(getattr(arguments, "file", None)) and not arguments.as_published
        return ports.PacketPort(
            arguments.interface or only_interface(),
            bpf.segments_for(where.packed, where.port, pure_acks=acks),
            offload=offload,
            fanout=fanout,
        )
    except PermissionError as error:
        hint = "be root, or be inside a lab of your own"
        raise Unavailable(
            Diagnostic("E805", f"no packet socket: {error.strerror}", hint=hint)
        ) from None
    except OSError as error:
        name = arguments.tun or arguments.interface or "the interface"
        raise LabError(Diagnostic("E806", f"{name}: {error.strerror or error}")) from None


def only_interface() -> str:
    """The one besides ``lo``; ``InputError`` if there are several."""
    names = [name for _, name in socket.if_nameindex() if name != "lo"]
    if len(names) != 1:
        there = ", ".join(names) or "none but lo"
        raise InputError(
            Diagnostic("E807", f"which interface? there is {there}", hint="--interface NAME")
        )
    return names[0]


def is_own(where: Endpoint) -> bool:
    """Whether the kernel here owns the address: only then may a socket be bound to it."""
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((where.host, 0))
        except OSError:
            return False
    return True


def must_not_forward(where: Endpoint, interface: str) -> None:
    """A kernel that forwards would send each packet on, or answer that it cannot."""
    version = 6 if ":" in where.host else 4
    setting = Path(f"/proc/sys/net/ipv{version}/conf/{interface}/forwarding")
    if setting.exists() and setting.read_text().strip() != "0":
        raise LabError(
            Diagnostic(
                "E802",
                f"{where.host} is not this node's own, and the kernel forwards packets for it",
                hint="listen on an own address, in a node that does not forward, or use --tun",
            )
        )
