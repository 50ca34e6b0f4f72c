"""Every protocol number through a running lab, or to an address, with all packets traced.

with netlab.Lab("topologies/nat.yaml") as lab:
    made = sweep(lab, "client", "server")
print(made.rows[143].reason)
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

from netlab.capture.evidence import NodeInfo
from netlab.errors import Diagnostic, LabError
from netlab.hdp import numbers
from netlab.io.hdp import sweep as driver
from netlab.linux import namespaces, sysctl
from netlab.probe.join import join
from netlab.trace.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from netlab.io.hdp.endpoints import Target
    from netlab.lab.lab import Lab, LabNode
    from netlab.probe.rows import Sweep

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
) -> Sweep:
    """Probe every protocol number from node ``client`` to node ``server``.

    ``family`` is IPv4 unless the server has IPv6 only; ``size`` pads what follows the IP header, in
    octets; with ``listen`` the server holds a raw socket for each number; with ``forget`` conntrack
    starts empty in every node between; ``quiet`` is in seconds. Without a listener the server's
    limits on the rate of ICMP errors are lifted while the sweep lasts: what is asked for is what it
    answers, not how often.

    Raises:
        LabError: the server has no address of that family (E613); too few descriptors (E616).
        Unavailable: raw sockets are not allowed here (E601).
    """
    address, version = _address(lab[server], family)
    passing = [node.name for node in lab if node.kind != "host"]
    task = driver.Task(
        family=version,
        target=address,
        client=client,
        server=server,
        run=driver.new_run(),
        arguments=tuple(arguments or numbers.arguments(version)),
        packets=packets,
        size=size,
        listen=listen,
        tracking=tuple(dict.fromkeys((client, *passing, server))) if forget else (),
        kernel_header=kernel_header,
        quiet=driver.QUIET if quiet is None else quiet,
    )

    def inside(node: str, action: Callable[[], T], /) -> T:
        return namespaces.inside(lab[node].namespace, action)

    limits = contextlib.nullcontext() if listen else _without_limits(lab[server])
    with limits:
        return _watched(lab.observe(), task, inside)


HERE = "here"
"""The name of this machine in a sweep that starts from it."""


def sweep_from_here(
    target: Target,
    *,
    arguments: Sequence[int] | None = None,
    packets: int = 3,
    size: int = 0,
    listen: bool = False,
    kernel_header: bool = False,
    quiet: float = 1.0,
) -> Sweep:
    """Probe every protocol number from this machine to an address; fields as those of ``sweep``.

    Of another machine only the answers can be seen. Packets to an address of this very machine are
    watched all the way.

    Raises:
        LabError: too few file descriptors (E616).
        Unavailable: raw sockets or packet sockets are not allowed here (E601).
    """
    is_local = target.source == target.address
    task = driver.Task(
        family=target.family,
        target=target.address,
        client=HERE,
        server=HERE if is_local else None,
        run=driver.new_run(),
        arguments=tuple(arguments or numbers.arguments(target.family)),
        packets=packets,
        size=size,
        listen=listen,
        kernel_header=kernel_header,
        quiet=quiet,
    )
    # No trace of nft: for that a rule would have to be added to this machine's own.
    watch = Watch({HERE: NodeInfo("host", ())}, driver.here, ("capture", "drops"))
    made = _watched(watch, task, driver.here)
    return made._replace(gaps=tuple(gap for gap in made.gaps if "was not asked for" not in gap))


def _watched(watch: Watch, task: driver.Task, inside: driver.RunInNetns) -> Sweep:
    with watch:
        sent = driver.run(task, watch.activity, inside)
    return join(sent, watch.evidence, watch.traces)


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
