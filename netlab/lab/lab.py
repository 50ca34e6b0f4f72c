"""A running lab, for programs and for the command line.

    with netlab.Lab("topologies/nat.yaml") as lab:
        lab["client"].run(["ping", "-c1", "server"], check=True)

A lab that a program makes belongs to that program: it goes when the ``with`` block ends, and if
the process dies before, ``netlab gc`` finds what is left. ``Lab.attach`` gives the same handle to
a lab that ``netlab up`` made.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, TypeVar

from netlab.errors import Diagnostic, InputError, LabError
from netlab.plan import codec
from netlab.plan.operations import Plan, StartProgram, own_variables

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from socket import socket
    from types import TracebackType
    from typing import Self

    from netlab.capture.session import Kind
    from netlab.lab import record
    from netlab.lab.programs import Program
    from netlab.plan.operations import InterfaceSummary, NodeSummary
    from netlab.topology.model import Topology
    from netlab.topology.python import Topology as Written
    from netlab.trace.watch import Watch

T = TypeVar("T")

LONGEST_NAME = 64
"""Octets: a namespace is named LAB.NODE, and a file name ends at 255."""

_PLAN = "plan.json"


class Lab:
    """A lab described by a topology file, a ``Topology`` or a ``Plan``; not yet running.

    ``name`` is how other commands find it; the default is the topology's own name. Bad files
    raise ``InputError`` here, before anything is made.
    """

    def __init__(
        self,
        topology: str | os.PathLike[str] | Topology | Written | Plan,
        *,
        name: str | None = None,
    ) -> None:
        plan = _plan(topology)
        self.plan = plan._replace(name=check_name(plan.name if name is None else name))
        self._claim: record.Claim | None = None
        self._found: record.Lab | None = None
        self._programs: tuple[Program, ...] = ()
        self.watches: list[Watch] = []
        """Every observation so far."""

    @classmethod
    def attach(cls, name: str | None = None) -> Self:
        """A handle to a lab that runs already; without a name, to the only one."""
        from netlab.lab import rootless

        found = find(name)
        rootless.join(found)
        lab = cls(plan_of(found))
        lab._found = found
        return lab

    def start(
        self, *, keep: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> Self:
        """Build it; on any error nothing is left and ``LabError`` says why.

        With ``keep`` the lab outlives this process, as with ``netlab up``. ``progress`` is called
        with the number of operations done and of all operations.
        """
        from netlab.lab import build

        documents = {_PLAN: json.dumps(codec.to_json(self.plan))}
        claim = build.claim(self.plan, library=not keep, documents=documents)
        self._programs = build.build(self.plan, claim, progress)
        self._found = claim.lab
        self._claim = None if keep else claim
        return self

    def stop(self) -> None:
        """Remove it: programs, namespaces, names, files. Stopping twice is not an error."""
        from netlab.lab import remove

        if self._claim:
            remove.remove(self._claim)
        elif self._found:
            remove.down(self._found.name)
        for program in self._programs:
            program.wait()  # it is dead; this buries it
        self._programs = ()
        self._claim = self._found = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.plan.name

    @property
    def running(self) -> record.Lab:
        """The lab on this machine.

        Raises:
            LabError: the lab is not started.
        """
        if self._found is None:
            raise LabError(Diagnostic("E403", f"lab {self.name} is not running"))
        return self._found

    @property
    def nodes(self) -> tuple[LabNode, ...]:
        """The nodes in the order of the file."""
        return tuple(LabNode(self, summary) for summary in self.plan.nodes)

    def observe(self, kinds: Collection[Kind] = ()) -> Watch:
        """Watch every packet for as long as a ``with`` block lasts; see ``netlab.trace.watch``.

        ``kinds`` are the collectors to use: ``capture``, ``nft``, ``drops``, ``conntrack``,
        ``counters``; none given means all that this machine allows. With ``arrivals`` in place of
        ``capture`` frames are captured only where they come in, at half the cost to the lab.
        """
        from netlab.linux import namespaces
        from netlab.trace.inventory import inventory
        from netlab.trace.watch import Watch

        running = self.running  # which may be gone when the block ends

        def inside(node: str, action: Callable[[], T], /) -> T:
            return namespaces.inside(running.namespace(node), action)

        watch = Watch(inventory(self.plan), inside, kinds)
        self.watches.append(watch)
        return watch

    def logs(self) -> Iterator[tuple[str, str]]:
        """``NODE/PROGRAM`` and what it has printed so far, for each program of the topology."""
        for start in self.plan.operations:
            if isinstance(start, StartProgram):
                yield f"{start.node}/{start.program}", self[start.node].log(start.program)

    def __getitem__(self, name: str) -> LabNode:
        for summary in self.plan.nodes:
            if summary.name == name:
                return LabNode(self, summary)
        raise no_such_node(self.name, name, [n.name for n in self.plan.nodes])

    def __iter__(self) -> Iterator[LabNode]:
        return iter(self.nodes)

    def __contains__(self, name: object) -> bool:
        return any(summary.name == name for summary in self.plan.nodes)


class LabNode:
    """One node of a running lab."""

    def __init__(self, lab: Lab, summary: NodeSummary) -> None:
        self.lab = lab
        self.summary = summary

    @property
    def name(self) -> str:
        """The node's name."""
        return self.summary.name

    @property
    def kind(self) -> str:
        """``host``, ``router``, ``nat``, ``bridge`` or ``stack``."""
        return self.summary.kind

    @property
    def interfaces(self) -> tuple[InterfaceSummary, ...]:
        """Its interfaces, the loopback excepted."""
        return self.summary.interfaces

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address, without prefix lengths, in the order of the interfaces."""
        return tuple(a.partition("/")[0] for i in self.interfaces for a in i.addresses)

    @property
    def address(self) -> str:
        """The first address.

        Raises:
            LabError: the node has no address.
        """
        if not self.addresses:
            raise LabError(Diagnostic("E414", f"{self.name} has no address"))
        return self.addresses[0]

    @property
    def namespace(self) -> str:
        """The file that is its network namespace."""
        return self.lab.running.namespace(self.name)

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = False,
        timeout: float = 60.0,
        input: str | None = None,  # noqa: A002 - the name that subprocess.run gives it
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end and keep what it prints.

        What it leaves behind is not waited for; that ends with the lab. After ``timeout`` seconds
        the command and all that it started are killed, and ``subprocess.TimeoutExpired`` carries
        what it printed. With ``check`` an exit code other than 0 raises
        ``subprocess.CalledProcessError``.

        Raises:
            subprocess.TimeoutExpired: it did not end in time.
        """
        import subprocess

        from netlab.lab import to_end

        output, errors, code = to_end.run(
            lambda **files: self.popen(argv, env=env, text=True, **files), input, timeout
        )
        if code is None:
            raise subprocess.TimeoutExpired(list(argv), timeout, output, errors)
        ran = subprocess.CompletedProcess(list(argv), code, output, errors)
        if check:
            ran.check_returncode()
        return ran

    def popen(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[Any]:
        """Start a command; ``options`` are those of ``subprocess.Popen``.

        ``env`` is added to the node's environment. What still runs when the lab goes is killed.
        """
        from netlab.lab import enter

        extra = {**own_variables(self.summary.environment), **(env or {})}
        if self.summary.isolate:
            from netlab.lab import isolation

            argv = isolation.command(argv, [os.path.dirname(self.lab.running.directory)])
        return enter.spawn(self.lab.running, self.name, argv, extra, **options)

    def inside(self, action: Callable[[], T], /) -> T:
        """The result of ``action`` when it runs in this node; the calling thread stays."""
        from netlab.linux import namespaces

        return namespaces.inside(self.namespace, action)

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket:
        """A socket that lives in this node, while the calling thread stays where it is."""
        from netlab.linux import namespaces

        return namespaces.open_socket(self.namespace, family, kind, protocol)

    def log(self, program: str) -> str:
        """What a program of the topology has printed so far."""
        with open(
            self.lab.running.log(self.name, program), encoding="utf-8", errors="replace"
        ) as f:
            return f.read()

    def __repr__(self) -> str:
        return f"<{self.kind} {self.lab.name}/{self.name}>"


def _plan(topology: str | os.PathLike[str] | Topology | Written | Plan) -> Plan:
    if isinstance(topology, Plan):
        return topology
    if isinstance(topology, str | os.PathLike):
        from netlab.lab.plan_cache import plan_of as plan_of_file

        return plan_of_file(os.fspath(topology))
    from netlab.plan.build import build
    from netlab.topology import python

    return build(topology.resolve() if isinstance(topology, python.Topology) else topology)


def check_name(name: str) -> str:
    """The name, if a lab can have it: it becomes part of file names and of `ip netns` names.

    Raises:
        InputError: a lab cannot have this name.
    """
    good = name.isascii() and name.replace("-", "").replace("_", "").replace(".", "").isalnum()
    if not good or not name[0].isalnum() or len(name) > LONGEST_NAME:
        raise InputError(
            Diagnostic(
                "E302",
                f"{name!r} cannot be the name of a lab",
                hint=f"letters, digits, - _ . and at most {LONGEST_NAME} of them: --name my-lab",
            )
        )
    return name


def find(name: str | None = None) -> record.Lab:
    """The lab of that name, or the only one.

    Raises:
        LabError: there is no such lab, or several run.
    """
    from netlab.lab import record

    if name is not None:
        return record.find(check_name(name))
    labs = list(record.labs())
    if len(labs) == 1:
        return labs[0]
    if not labs:
        raise LabError(Diagnostic("E403", "no lab is running", hint="netlab up FILE"))
    running = " ".join(lab.name for lab in labs)
    raise LabError(
        Diagnostic("E403", f"which lab? {len(labs)} are running", hint=f"running: {running}")
    )


def find_node(target: str) -> tuple[record.Lab, str]:
    """The lab and the node of ``[LAB/]NODE``."""
    name, slash, node = target.rpartition("/")
    lab = find(name if slash else None)
    if node not in lab.record.nodes:
        raise no_such_node(lab.name, node, lab.record.nodes)
    return lab, node


def plan_of(lab: record.Lab) -> Plan:
    """The plan that a running lab was built from."""
    return codec.from_json(json.loads(lab.document(_PLAN)))


def no_such_node(lab: str, node: str, known: Sequence[str]) -> LabError:
    """The error that names the nodes that there are."""
    import difflib

    near = difflib.get_close_matches(node, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"nodes: {' '.join(known)}"
    return LabError(Diagnostic("E404", f"lab {lab} has no node {node!r}", hint=hint))
