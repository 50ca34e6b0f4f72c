"""Every protocol number through a running lab, every hop and every rule watching.

with netlab.Lab("topologies/nat.yaml") as lab:
made = sweep(lab, "client", "server")
print(made.rows[143].reason)
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

from netlab.errors import Diagnostic, LabError
from netlab.hdp import numbers
from netlab.hdp import sweep as core
from netlab.io.hdp import sweep as drive
from netlab.linux import namespaces, sysctl
from netlab.probe import captures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from netlab.lab.lab import Lab, LabNode

T = TypeVar("T")

_NO_LIMITS = {
    # Which ICMP types are limited at all: none. The rate alone leaves a global limit in force.
    "net.ipv4.icmp_ratemask": "0",
    "net.ipv6.icmp.ratelimit": "0",
    "net.ipv6.icmp.ratemask": "",
}


def sweep(
    lab: Lab,
    client: str,
    server: str,
    *,
    family: int | None = None,
    arguments: Sequence[int] | None = None,
    packets: int = 3,
    size: int = 0,
    listen: bool = True,
    forget: bool = True,
    kernel_header: bool = False,
    quiet: float | None = None,
) -> core.Sweep:
    """Probe every protocol number from node ``client`` to node ``server``.

    The fields are those of ``netlab.io.hdp.sweep.Task``; ``family`` is IPv4 unless the server has
    IPv6 only. Without a listener the server's limits on the rate of ICMP errors are lifted while
    the sweep lasts: what is asked for is what it answers, not how often.
    """
    address, version = _address(lab[server], family)
    passing = [node.name for node in lab if node.kind != "host"]
    task = drive.Task(
        family=version,
        target=address,
        client=client,
        server=server,
        watched=tuple(dict.fromkeys((client, *passing, server))),
        run=drive.new_run(),
        arguments=tuple(arguments or numbers.arguments(version)),
        packets=packets,
        size=size,
        listen=listen,
        forget=forget,
        kernel_header=kernel_header,
        quiet=drive.QUIET if quiet is None else quiet,
    )

    def inside(node: str, action: Callable[[], T], /) -> T:
        return namespaces.inside(lab[node].namespace, action)

    limits = contextlib.nullcontext() if listen else _without_limits(lab[server])
    with limits, captures.watching(task, inside) as witness:
        evidence = drive.run(task, inside)
    return core.join(evidence._replace(drops=witness.drops()))


def _address(node: LabNode, family: int | None) -> tuple[str, int]:
    """The node's first address of the family, or of IPv4 if it has any."""
    found = {6 if ":" in address else 4: address for address in reversed(node.addresses)}
    for version in (family,) if family else (4, 6):
        if version in found:
            return found[version], version
    raise LabError(Diagnostic("E613", f"{node.name} has no IPv{family or '4 or 6'} address"))


@contextlib.contextmanager
def _without_limits(node: LabNode) -> Iterator[None]:
    def write(values: dict[str, str]) -> dict[str, str]:
        before = {}
        for key, value in values.items():
            # A kernel without IPv6 has no such key.
            with contextlib.suppress(FileNotFoundError):
                before[key] = sysctl.read(key)
                sysctl.write(key, value or "\n")
        return before

    before = namespaces.inside(node.namespace, lambda: write(_NO_LIMITS))
    try:
        yield
    finally:
        namespaces.inside(node.namespace, lambda: write(before))
