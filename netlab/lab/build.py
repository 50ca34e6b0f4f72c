"""Carry out a plan: all of it, or nothing.

Operations are done in the plan's order, in *visits*: one to a namespace for a run of operations
that belong there. What can be said in netlink is collected and sent in one system call. The
builder is a thread of its own, which moves from namespace to namespace and ends in the last; the
caller's threads never leave their place.

A wire is made by a visit to its first end, which also keeps a preset interface index free of
clashes: the kernel looks it up in the namespace of the socket.
"""

from __future__ import annotations

import os
import time
from itertools import groupby
from typing import TYPE_CHECKING, Any

from netlab.lab import errors, netns_names, record
from netlab.lab.errors import place
from netlab.lab.rootless import is_needed
from netlab.lab.signals import Descriptors, Signals
from netlab.linux import namespaces, rtnetlink, sysctl
from netlab.plan.operations import (
    AddAddress,
    AddNeighbour,
    AddRoute,
    AddRoutingRule,
    CreateBridge,
    CreateNamespace,
    CreateTun,
    CreateVeth,
    DisableOffloads,
    Enslave,
    LoadRules,
    MakeDirectory,
    SetSysctl,
    SetUp,
    StartProgram,
    WriteFile,
)

if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable, Iterable

    from netlab.lab.programs import Program
    from netlab.lab.record import Claim, Lab
    from netlab.plan.operations import Operation, Plan

    Progress = Callable[[int, int], None]
    """Called with the operations done and all operations, from the builder's thread."""

SETTLING = 10.0
"""Seconds that wires have to come to life; it takes microseconds."""

POLL = 0.001
"""Seconds between two looks at a wire that has not."""


def claim(
    plan: Plan,
    *,
    digest: str = "",
    library: bool = False,
    listed: bool | None = None,
    documents: dict[str, str] | None = None,
) -> Claim:
    """Take the lab's name, after removing what a dead builder left under it.

    See ``ownership.claim``. The claim goes to ``build``.
    """
    if os.path.exists(f"{record.state_directory()}/{plan.name}"):
        from netlab.lab import remove

        remove.clear_dead(plan.name)
    rootless = is_needed()
    return record.claim(
        plan.name,
        tuple(node.name for node in plan.nodes),
        topology=os.path.abspath(plan.topology),
        digest=digest,
        library=library,
        rootless=rootless,
        listed=False if rootless else listed,
        documents=documents,
    )


def build(plan: Plan, claim: Claim, progress: Progress | None = None) -> tuple[Program, ...]:
    """Build the lab of ``claim`` and return its programs, started and ready.

    On any error, and on SIGINT, SIGTERM or SIGHUP, everything is taken back and the claim
    released. A signal is answered as it would have been, but only after that. When all is well
    a lab that does not belong to this process is released.

    Raises ``LabError`` naming the operation that failed, ``Unavailable`` if this machine or user
    may not build labs.
    """
    lab = claim.lab
    with Signals() as signals:
        builder = _Builder(plan, lab, progress, signals)
        try:
            if lab.record.rootless:
                _go_rootless(lab)
            namespaces.in_thread(builder.run)
            signals.check()
            record.mark_ready(lab)
        except BaseException:
            from netlab.lab import remove

            remove.remove(claim)
            for program in builder.started:
                program.wait()  # it has ended; this lets its process id go
            raise
    if not lab.record.library:
        claim.close()
    return tuple(builder.started)


def _go_rootless(lab: Lab) -> None:
    from netlab.lab import rootless

    rootless.enter()
    if not lab.record.library:
        rootless.keep(lab)


class _Builder:
    """One run through a plan, in the thread that calls ``run``."""

    def __init__(self, plan: Plan, lab: Lab, progress: Progress | None, signals: Signals) -> None:
        self._plan = plan
        self._lab = lab
        self._progress = progress
        self._signals = signals
        self._namespaces: dict[str, int] = {}
        self._indices: dict[tuple[str, str], int] = {}
        self._peers: dict[tuple[str, str], tuple[str, str]] = {}
        self._up: set[tuple[str, str]] = set()
        self._tuns: set[tuple[str, str]] = set()
        self._contents: dict[str, str] = {}
        self._newborn: dict[str, str] | None = None
        self._untouched = False
        self._addresses: dict[str, list[str]] = {}
        self._unsettled: dict[str, list[tuple[int, int]]] = {}
        self._pending: list[tuple[Operation, rtnetlink.Request]] = []
        self._route: socket | None = None
        self.started: list[Program] = []

    def run(self) -> None:
        try:
            namespaces.mount_netns_dir(self._lab.netns_dir)
            if self._lab.record.listed:
                netns_names.show(self._lab)
        except OSError as error:
            raise errors.of_machine(error) from None
        total, done = len(self._plan.operations), 0
        with Descriptors(len(self._lab.record.nodes)):
            try:
                for node, visit in groupby(self._plan.operations, place):
                    self._signals.check()
                    done += self._visit(node, visit)
                    if self._progress:
                        self._progress(done, total)
                self._settle()
            finally:
                self._leave()
                for fd in self._namespaces.values():
                    os.close(fd)

    def _visit(self, node: str, operations: Iterable[Operation]) -> int:
        count = 0
        self._untouched = False
        if node in self._namespaces:
            namespaces.setns(self._namespaces[node], namespaces.CLONE_NEWNET)
        for operation in operations:
            count += 1
            encode = _REQUESTS.get(type(operation))
            if encode:
                self._pending.append((operation, encode(self, operation)))
                continue
            self._flush()
            try:
                _ACTIONS[type(operation)](self, operation)
            except OSError as error:
                raise errors.of_operation(operation, error.errno or 0) from None
        self._flush()
        self._leave()
        return count

    def _flush(self) -> None:
        """Send the requests that have come together to the namespace of this visit."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        if self._route is None:
            self._route = rtnetlink.open_route_socket()
        answer = rtnetlink.talk(self._route, [request for _, request in pending])
        if answer:
            raise errors.of_operation(pending[answer.position][0], answer.errno, answer.text)

    def _settle(self) -> None:
        """Wait until every wire carries packets, and the kernel knows of every carrier and address.

        A wire has no carrier until both its ends are up. The kernel notes the change in a worker of
        its own, and until it has, a packet sent there is lost and a switch's port is disabled.
        """
        deadline = time.monotonic() + SETTLING
        for node, devices in self._unsettled.items():
            namespaces.setns(self._namespaces[node], namespaces.CLONE_NEWNET)
            link = rtnetlink.open_route_socket()
            try:
                for index, state in devices:
                    while rtnetlink.operational_state(link, index) != state:
                        self._signals.check()
                        if time.monotonic() > deadline:
                            raise errors.not_settled(node, SETTLING)
                        time.sleep(POLL)
                for address in self._addresses.pop(node, ()):
                    while not rtnetlink.is_local(link, address):
                        self._signals.check()
                        if time.monotonic() > deadline:
                            raise errors.not_settled(node, SETTLING)
                        time.sleep(POLL)
            finally:
                link.close()
        self._unsettled.clear()

    def _leave(self) -> None:
        if self._route:
            self._route.close()
            self._route = None

    # Requests: what netlink can say

    def _index(self, node: str, name: str) -> int:
        return self._indices[node, name]

    def veth(self, o: CreateVeth) -> rtnetlink.Request:
        a, b = o.a, o.b
        self._indices[a.node, a.name] = a.ifindex
        self._indices[b.node, b.name] = b.ifindex
        self._peers[a.node, a.name] = b.node, b.name
        self._peers[b.node, b.name] = a.node, a.name
        return rtnetlink.new_veth(
            rtnetlink.End(*a[1:]), rtnetlink.End(*b[1:]), self._namespaces[b.node]
        )

    def bridge(self, o: CreateBridge) -> rtnetlink.Request:
        self._indices[o.node, o.name] = o.ifindex
        return rtnetlink.new_bridge(o.name, o.ifindex, o.mac, o.mtu)

    def enslave(self, o: Enslave) -> rtnetlink.Request:
        return rtnetlink.set_master(self._index(o.node, o.name), self._index(o.node, o.master))

    def address(self, o: AddAddress) -> rtnetlink.Request:
        if ":" in o.address:
            self._addresses.setdefault(o.node, []).append(o.address.partition("/")[0])
        return rtnetlink.add_address(self._index(o.node, o.name), o.address)

    def up(self, o: SetUp) -> rtnetlink.Request:
        end = o.node, o.name
        self._up.add(end)
        peer = self._peers.get(end)
        if peer in self._up:
            for node, name in (end, peer):
                self._settle_later(node, name, rtnetlink.IF_OPER_UP)
        elif end in self._tuns:
            # No program holds the other side yet.
            self._settle_later(*end, rtnetlink.IF_OPER_DOWN)
        return rtnetlink.set_up(self._index(o.node, o.name))

    def _settle_later(self, node: str, name: str, state: int) -> None:
        self._unsettled.setdefault(node, []).append((self._indices[node, name], state))

    def add_route(self, o: AddRoute) -> rtnetlink.Request:
        if o[5:] == _PLAIN:
            return rtnetlink.add_route(self._index(o.node, o.name), o.destination, o.gateway)
        return rtnetlink.add_any_route(
            o.destination,
            o.gateway,
            self._index(o.node, o.name) if o.name else 0,
            kind=o.type,
            source=o.source,
            metric=o.metric,
            table=o.table,
            next_hops=[(hop[0], self._index(o.node, hop[1]), hop[2]) for hop in o.next_hops],
        )

    def add_rule(self, o: AddRoutingRule) -> rtnetlink.Request:
        return rtnetlink.add_rule(*o[1:10])

    def neighbour(self, o: AddNeighbour) -> rtnetlink.Request:
        return rtnetlink.add_neighbour(self._index(o.node, o.name), o.address, o.mac)

    # Actions: all the rest

    def namespace(self, o: CreateNamespace) -> None:
        self._namespaces[o.node] = namespaces.create_network(self._lab.namespace(o.node))
        self._indices[o.node, "lo"] = 1
        self._untouched = True
        if self._newborn is None:
            self._newborn = self._settings()

    def sysctl(self, o: SetSysctl) -> None:
        if self._untouched and self._newborn and self._newborn.get(o.key) == o.value:
            return
        self._untouched = False
        try:
            sysctl.write(o.key, o.value)
        except FileNotFoundError:
            if not o.optional:
                raise

    def _settings(self) -> dict[str, str]:
        """What a new namespace holds of all settings of the plan: as good as any other new one.

        A setting that comes first in its node and is so already need not be written. After a
        write anything may have changed: ``ip_forward`` alone sets a dozen others.
        """
        found = {}
        for key in {o.key for o in self._plan.operations if isinstance(o, SetSysctl)}:
            try:
                found[key] = sysctl.read(key)
            except OSError:
                continue
        return found

    def tun(self, o: CreateTun) -> None:
        from _socket import if_nametoindex

        from netlab.linux import tun

        tun.create(o.name)
        self._indices[o.node, o.name] = index = if_nametoindex(o.name)
        self._tuns.add((o.node, o.name))
        self._pending.append((o, rtnetlink.set_mtu(index, o.mtu)))

    def offloads(self, o: DisableOffloads) -> None:
        from netlab.linux import ethtool

        ethtool.disable(o.name)

    def rules(self, o: LoadRules) -> None:
        from netlab.linux import libnftables

        complaints = libnftables.load(o.text)
        if complaints:
            raise errors.of_rules(o, complaints)

    def file(self, o: WriteFile) -> None:
        from netlab.lab import files

        same = self._contents.get(o.content, "")
        self._contents[o.content] = files.store(self._lab.files(o.node), o.path, o.content, same)

    def directory(self, o: MakeDirectory) -> None:
        from netlab.lab import directories

        directories.make(self._lab.directories(o.node), o.path, is_copy=o.is_copy)

    def program(self, o: StartProgram) -> None:
        from netlab.lab import programs

        self._settle()
        started = programs.start(self._lab, o)
        self.started.append(started)
        programs.wait_ready(self._lab, started, o.ready, o.timeout, self._signals.arrived)


_PLAIN = tuple(AddRoute._field_defaults.values())[1:]
"""What a plain route has after its reason."""

_REQUESTS: dict[type, Callable[[_Builder, Any], rtnetlink.Request]] = {
    CreateVeth: _Builder.veth,
    CreateBridge: _Builder.bridge,
    Enslave: _Builder.enslave,
    AddAddress: _Builder.address,
    SetUp: _Builder.up,
    AddRoute: _Builder.add_route,
    AddRoutingRule: _Builder.add_rule,
    AddNeighbour: _Builder.neighbour,
}

_ACTIONS: dict[type, Callable[[_Builder, Any], None]] = {
    CreateNamespace: _Builder.namespace,
    SetSysctl: _Builder.sysctl,
    CreateTun: _Builder.tun,
    DisableOffloads: _Builder.offloads,
    LoadRules: _Builder.rules,
    WriteFile: _Builder.file,
    MakeDirectory: _Builder.directory,
    StartProgram: _Builder.program,
}
