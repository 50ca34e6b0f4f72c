"""A scenario: its lab, its steps, and what must come of each of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from netlab.topology.source import Mapping as Tree

PORT = 33434
"""Where packets of TCP and UDP go without a port of their own: traceroute's."""

TIMEOUT = 20.0
"""Seconds that a step may take unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send ``count`` packets of IP protocol ``protocol`` and learn the fate of each.

    ``target`` is a node or an address; ``listen`` holds a socket open there, as a server would.
    ``size`` is the payload in octets, ``family`` 4 or 6.
    """

    source: str
    target: str
    protocol: int
    count: int = 1
    port: int = PORT
    size: int = 32
    family: int = 4
    listen: bool = True


@dataclass(frozen=True, slots=True)
class Command:
    """Run a command to its end in ``node``, or on this machine where ``node`` is empty."""

    argv: tuple[str, ...]
    node: str = ""
    input: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """Start a program that stays; the step is over when its output matches ``ready``."""

    argv: tuple[str, ...]
    ready: str
    node: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Repeat a command until its output matches ``until``."""

    argv: tuple[str, ...]
    until: str
    node: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """Set values of the running lab by their path, as ``netlab set`` does."""

    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Links:
    """Bring links down or up, or change what they do to packets, as ``netlab link`` does.

    By ``node:interface``: ``up``, ``down``, or values such as ``{"loss": "5%"}``.
    """

    changes: Mapping[str, str | Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Advance:
    """Make ``seconds`` pass at once for what ``node`` keeps of flows, of one protocol or of all."""

    node: str
    seconds: int
    protocol: int | None = None


@dataclass(frozen=True, slots=True)
class Forget:
    """Let a NAT change the ports of its mappings (``rebind``), or forget all of them."""

    node: str
    rebind: bool


@dataclass(frozen=True, slots=True)
class Call:
    """Call the Python function ``function`` of the file ``file`` with the running lab.

    It takes the lab and a ``random.Random`` and returns the rows of a table. It has a process of
    its own, which is killed when the step's time is over.
    """

    file: Path
    function: str


@dataclass(frozen=True, slots=True)
class Obstacle:
    """The obstacle: keys for the node and for the link, as in a topology file."""

    name: str
    node: Tree
    link: Tree


@dataclass(frozen=True, slots=True)
class Matrix:
    """Let each kind of traffic meet each obstacle, in a lab of its own.

    ``source`` and ``target`` are the ends, ``box`` the node that is each obstacle in turn, and
    ``wire`` (``node:interface``) an end of the link that is. Kinds are those of
    ``netlab.scenario.matrix.traffic``.
    """

    source: str
    target: str
    box: str
    wire: str
    traffic: tuple[str, ...]
    obstacles: tuple[Obstacle, ...]


@dataclass(frozen=True, slots=True)
class Meet:
    """Let two programs look for each other through pairs of NATs, each pair in a lab of its own.

    As ``netlab.meet``: commands as words, where no words mean our own program; ``until`` and
    ``pairs`` are the texts of ``netlab.scenario.meet``.
    """

    a: tuple[str, ...]
    b: tuple[str, ...]
    rendezvous: tuple[str, ...]
    turn: bool
    until: str
    pairs: str
    repeat: int
    limit: float


Action: TypeAlias = (
    Send | Command | Start | Wait | Change | Links | Advance | Forget | Call | Matrix | Meet
)


@dataclass(frozen=True, slots=True)
class Watched:
    """Which packets of a command are numbered: those of an IP protocol and, if given, a port."""

    protocol: int
    port: int | None = None


@dataclass(frozen=True, slots=True)
class End:
    """How a packet must end: its disposition and, where not empty, the node and who says why.

    ``by`` is a part of the rule, its label, or the reason.
    """

    disposition: str
    at: str = ""
    by: str = ""
    changed: str = ""
    """A part of one of the changes that it must have met on its way, in tracebox's notation."""
    what: str = ""
    """What the packet is, such as ``SYN+ACK``."""

    def __str__(self) -> str:
        where = f" at {self.at}" if self.at else ""
        by = f" by {self.by}" if self.by else ""
        changed = f", changed in {self.changed}" if self.changed else ""
        return f"{self.disposition}{where}{by}{changed}"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that a command's JSON or CSV output, or a function's answer, must have.

    Compared are the named columns only, as text, in any order; each row as often as it is listed.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come of a step. ``packets`` are by number from 1."""

    exit: int | None = None
    output: tuple[str, ...] = ()
    not_output: tuple[str, ...] = ()
    packets: tuple[tuple[int, End], ...] = ()
    no_more: bool = False
    """There are no other packets than those that ``packets`` names."""
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Exercise:
    """What makes a scenario an exercise: its lab is to be put right by a student.

    ``solution`` is a topology file in which every expectation is met. ``locked`` are paths in the
    topology file that must stay as they are, such as ``nodes.server``. Unless ``own_programs``, the
    student's file may not run anything that the given one does not run.
    """

    task: str
    hints: tuple[str, ...] = ()
    solution: Path | None = None
    locked: tuple[str, ...] = ()
    own_programs: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done. ``explain`` is what a demo says before it."""

    name: str
    action: Action
    expected: Expected
    explain: str = ""
    watched: Watched | None = None
    timeout: float = TIMEOUT
    line: int = 0
    points: int = 1
    """What it is worth in an exercise if all its expectations are met."""


@dataclass(frozen=True, slots=True)
class Published:
    """A result from the literature, and what the lab shows beside it."""

    what: str
    published: str
    lab: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole scenario file."""

    name: str
    title: str
    file: Path
    topology: Path
    story: str
    steps: tuple[Step, ...]
    sources: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    needs: tuple[str, ...] = field(default=())
    """Programs that must be installed."""
    exercise: Exercise | None = None

    def with_patience(self, factor: float) -> Scenario:
        """The same, each of its steps with ``factor`` times the time."""
        slower = (replace(step, timeout=step.timeout * factor) for step in self.steps)
        return replace(self, steps=tuple(slower))
