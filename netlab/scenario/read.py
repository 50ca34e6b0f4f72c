"""A scenario file -> Scenario, or every problem of it at once, as for topologies.

Codes: those of topology files for what they have in common, and E901 ... E909.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from netlab.errors import InputError
from netlab.scenario import model
from netlab.scenario.exercise import submission
from netlab.scenario.matrix import traffic
from netlab.scenario.meet import condition, pairs
from netlab.scenario.schema import (
    ACTIONS,
    AdvanceForm,
    EndForm,
    ExerciseForm,
    ExpectForm,
    MatrixForm,
    MeetForm,
    PublishedForm,
    ScenarioForm,
    SendForm,
    StepForm,
    TableForm,
    WatchForm,
)
from netlab.topology import load as load_topology
from netlab.topology import source
from netlab.topology.form import WANTED
from netlab.topology.problems import Problems, nearest
from netlab.trace.disposition import Disposition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from netlab.topology.schema import Form

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "hdp": 255}

FORMS: dict[tuple[type[Form], str], type[Form]] = {
    (ScenarioForm, "steps"): StepForm,
    (ScenarioForm, "published"): PublishedForm,
    (ScenarioForm, "exercise"): ExerciseForm,
    (StepForm, "send"): SendForm,
    (StepForm, "advance"): AdvanceForm,
    (StepForm, "watch"): WatchForm,
    (StepForm, "matrix"): MatrixForm,
    (StepForm, "meet"): MeetForm,
    (StepForm, "expect"): ExpectForm,
    (ExpectForm, "packets"): EndForm,
    (ExpectForm, "table"): TableForm,
}
"""The form under each key of a form."""

MOST_PACKETS = 10_000

_TAGS = ("EndForm", "str")
"""What pydantic adds to a place: the member of a union that it tried."""


def read(path: Path) -> model.Scenario:
    """The scenario of a file; InputError with all its problems if there are any."""
    problems = Problems(str(path))
    tree = source.parse(source.read(path, problems), problems)
    try:
        form = ScenarioForm.model_validate(source.to_data(tree))
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            _report(each, tree, problems)
        problems.raise_if_any()
        raise AssertionError("unreachable: a problem was added above") from None
    reader = _Reader(path, form, tree, problems)
    scenario = reader.scenario()
    problems.raise_if_any()
    return scenario


def _report(error: ErrorDetails, tree: source.Mapping, problems: Problems) -> None:
    path = [step for step in error["loc"] if step not in _TAGS and "[" not in str(step)]
    kind, context = error["type"], error.get("ctx", {})
    place = source.find(tree, path, key=kind == "extra_forbidden")
    found = source.describe(source.find(tree, path))
    form, name = _form(path)
    about = form.described().get(name, "")
    if kind[0] == "E":
        problems.add(kind, context["message"], place, context["hint"] or about)
    elif kind == "extra_forbidden":
        problems.add("E201", f"unknown key `{name}`", place, nearest(name, form.described()))
    elif kind == "missing":
        problems.add("E203", f"`{name}` is missing", place, about)
    elif kind in WANTED:
        problems.add("E202", f"expected {WANTED[kind]}, got {found}", place, about)
    else:
        problems.add("E205", f"{found} does not fit: {error['msg']}", place, about)


def _form(path: Sequence[str | int]) -> tuple[type[Form], str]:
    """The form that holds what ``path`` leads to, and the key in it."""
    form: type[Form] = ScenarioForm
    name = ""
    for step in path:
        if isinstance(step, str):
            form = FORMS.get((form, name), form)
            name = step
    return form, name


class _Reader:
    """Turns a form that is right into a scenario, looking at what the forms cannot know."""

    def __init__(
        self, path: Path, form: ScenarioForm, tree: source.Mapping, problems: Problems
    ) -> None:
        self.path = path
        self.form = form
        self.tree = tree
        self.problems = problems
        self.topology = (path.parent / form.topology).resolve()
        self.nodes: list[str] = []
        self.wires: list[str] = []

    def scenario(self) -> model.Scenario:
        """The scenario; what is wrong with it is in ``problems``."""
        if self.topology.is_file():
            topology = load_topology(self.topology)
            self.nodes = [node.name for node in topology.nodes]
            self.wires = [":".join(end) for link in topology.links for end in (link.a, link.b)]
        else:
            beside = [p.name for p in self.topology.parent.glob("*.yaml")]
            hint = nearest(self.topology.name, beside)
            self._wrong("E901", f"no topology file `{self.form.topology}`", hint, "topology")
        form = self.form
        return model.Scenario(
            name=self.path.stem,
            title=form.title,
            file=self.path,
            topology=self.topology,
            story=form.story,
            steps=tuple(self._step(number, step) for number, step in enumerate(form.steps)),
            sources=tuple(form.sources),
            published=tuple(
                model.Published(p.what, p.published, p.lab, p.source) for p in form.published
            ),
            needs=tuple(form.needs),
            exercise=self._exercise(form.exercise) if form.exercise else None,
        )

    def _exercise(self, form: ExerciseForm) -> model.Exercise:
        solution = (self.path.parent / form.solution).resolve() if form.solution else None
        # In the sandbox of a submission there is something else in its place, which says nothing.
        if solution and not solution.exists():
            beside = [p.name for p in solution.parent.glob("*.yaml")]
            message = f"no topology file `{form.solution}`"
            self._wrong("E901", message, nearest(solution.name, beside), "exercise", "solution")
        if self.topology.is_file():
            problems = Problems(str(self.topology))
            given = source.parse(source.read(self.topology, problems), problems)
            for number, path in enumerate(form.locked):
                if submission.at(given, path) is None:
                    message = f"`{path}` leads to nothing in {self.topology.name}"
                    hint = "keys with dots between them, such as nodes.server or links"
                    self._wrong("E921", message, hint, "exercise", "locked", number)
        return model.Exercise(
            task=form.task.strip(),
            hints=tuple(hint.strip() for hint in form.hints),
            solution=solution,
            locked=tuple(form.locked),
            own_programs=form.own_programs,
        )

    def _wrong(self, code: str, message: str, hint: str, *path: str | int) -> None:
        self.problems.add(code, message, source.find(self.tree, path), hint)

    def _step(self, number: int, form: StepForm) -> model.Step:
        at = ("steps", number)
        given = [name for name in ACTIONS if getattr(form, name) is not None]
        if len(given) != 1:
            message = f"a step does one thing, not {' and '.join(given) or 'nothing'}"
            hint = f"give it one of {', '.join(ACTIONS)}"
            if given:
                hint = f"make {len(given)} steps of it: {', then '.join(f'`{g}`' for g in given)}"
            self._wrong("E902", message, hint, *at)
        if form.node:
            self._node(form.node, *at, "in")
        kind = given[0] if given else "run"
        for key, belongs in (("ready", "start"), ("until", "wait"), ("watch", "run")):
            if getattr(form, key) is not None and kind != belongs:
                hint = f"write it beside `{belongs}`, which this step does not have"
                self._wrong("E902", f"`{key}` belongs to `{belongs}`", hint, *at, key)
        for needed, belongs in (("ready", "start"), ("until", "wait")):
            if kind == belongs and getattr(form, needed) is None:
                about = StepForm.described()[needed]
                self._wrong("E203", f"`{needed}` is missing", about, *at)
        watched = None
        if form.watch:
            protocol = self._protocol(form.watch.protocol, *at, "watch", "protocol")
            watched = model.Watched(protocol, form.watch.port[1] if form.watch.port else None)
        return model.Step(
            name=form.name or f"step {number + 1}",
            action=self._action(form, kind, at),
            expected=self._expected(form, kind, at),
            explain=form.explain.strip(),
            watched=watched,
            timeout=form.timeout,
            line=source.find(self.tree, at).line,
            points=form.points,
        )

    def _action(self, form: StepForm, kind: str, at: tuple[str | int, ...]) -> model.Action:
        if kind == "send" and form.send:
            return self._send(form.send, *at, "send")
        if kind == "set" and form.set is not None:
            for path in form.set:
                self._node(path.partition(".")[0], *at, "set", path)
            return model.Change(dict(form.set))
        if kind == "link" and form.link is not None:
            return self._links(form.link, *at, "link")
        if kind == "advance" and form.advance is not None:
            given = form.advance
            self._node(given.at, *at, "advance", "at")
            number = given.protocol and self._protocol(given.protocol, *at, "advance", "protocol")
            return model.Advance(given.at, given.seconds, number or None)
        if kind in ("rebind", "reboot"):
            node = getattr(form, kind)
            self._node(node, *at, kind)
            return model.Forget(node, rebind=kind == "rebind")
        if kind == "call" and form.call is not None:
            name, _, function = form.call.partition(":")
            file = self.path.parent / name
            if not (function.isidentifier() and file.is_file()):
                hint = "file.py:function, the file beside the scenario"
                self._wrong("E903", f"no function `{form.call}`", hint, *at, "call")
            return model.Call(file, function)
        if kind == "matrix" and form.matrix:
            return self._matrix(form.matrix, *at, "matrix")
        if kind == "meet" and form.meet:
            return self._meet(form.meet, *at, "meet")
        argv = tuple(form.run or form.start or form.wait or ())
        if kind == "start":
            return model.Start(argv, form.ready or "", form.node)
        if kind == "wait":
            return model.Wait(argv, form.until or "", form.node)
        return model.Command(argv, form.node, form.input)

    def _send(self, form: SendForm, *at: str | int) -> model.Send:
        self._node(form.source, *at, "from")
        if not any(c in form.target for c in ".:"):
            self._node(form.target, *at, "to")
        if form.family not in (4, 6):
            self._wrong("E205", f"IPv{form.family} is not an IP version", "4 or 6", *at, "family")
        return model.Send(
            source=form.source,
            target=form.target,
            protocol=self._protocol(form.protocol, *at, "protocol"),
            count=form.count,
            port=form.port[1] if form.port else model.PORT,
            size=form.size,
            family=form.family,
            listen=form.listen,
        )

    def _links(self, form: Mapping[str, str | Mapping[str, str]], *at: str | int) -> model.Links:
        for end, change in form.items():
            node, colon, interface = end.partition(":")
            if not (colon and interface):
                self._wrong(
                    "E417", f"`{end}` is not NODE:INTERFACE", "such as client:eth0", *at, end
                )
            else:
                self._node(node, *at, end)
            if isinstance(change, str) and change not in ("up", "down"):
                hint = "up, down, or values as in {loss: 5%}"
                self._wrong("E205", f"`{change}` is not a state of a link", hint, *at, end)
        return model.Links(dict(form))

    def _matrix(self, form: MatrixForm, *at: str | int) -> model.Matrix:
        for key, name in (("from", form.source), ("to", form.target), ("box", form.box)):
            self._node(name, *at, key)
        if self.wires and form.wire not in self.wires:
            message = f"the topology has no link with the endpoint `{form.wire}`"
            self._wrong("E904", message, nearest(form.wire, self.wires), *at, "wire")
        for number, name in enumerate(form.traffic):
            if traffic.find(name) is None:
                hint = nearest(name, [*traffic.KINDS, f"{traffic.NUMBER}99"])
                message = f"unknown kind of traffic `{name}`"
                self._wrong("E918", message, hint, *at, "traffic", number)
        return model.Matrix(
            source=form.source,
            target=form.target,
            box=form.box,
            wire=form.wire,
            traffic=tuple(dict.fromkeys(form.traffic)),
            obstacles=tuple(
                self._obstacle(name, *at, "obstacles", name) for name in form.obstacles
            ),
        )

    def _meet(self, form: MeetForm, *at: str | int) -> model.Meet:
        for key, parse in (("until", condition.parse), ("pairs", pairs.pairs)):
            try:
                parse(getattr(form, key))
            except InputError as error:
                [problem] = error.diagnostics
                message = problem.message.removeprefix(f"--{key}: ")
                self._wrong(problem.code, message, problem.hint, *at, key)
        if (form.a is None) != (form.b is None):
            message = "there are two programs, or none"
            self._wrong("E934", message, "`a` and `b`, or neither of the two", *at)
        return model.Meet(
            a=tuple(form.a or ()),
            b=tuple(form.b or ()),
            rendezvous=tuple(form.rendezvous or ()),
            turn=form.turn,
            until=form.until,
            pairs=form.pairs,
            repeat=form.repeat,
            limit=form.limit,
        )

    def _obstacle(self, name: str, *at: str | int) -> model.Obstacle:
        """The keys of a node and of a link; what they say is looked at when a lab is made."""
        found = source.find(self.tree, at)
        empty = source.Mapping(found.line, found.column)
        if isinstance(found, source.Scalar) and found.value == "":
            found = empty
        if not isinstance(found, source.Mapping):
            self._wrong("E202", f"expected a mapping at `{name}`", "keys of a node", *at)
            return model.Obstacle(name, empty, empty)
        link = found.entries.get("link")
        below = link[1] if link else empty
        if not isinstance(below, source.Mapping):
            self._wrong("E202", "expected a mapping at `link`", "keys of a link", *at, "link")
            below = empty
        rest = {key: entry for key, entry in found.entries.items() if key != "link"}
        return model.Obstacle(name, replace(found, entries=rest), below)

    def _node(self, name: str, *at: str | int) -> None:
        if self.nodes and name not in self.nodes:
            message = f"the topology has no node `{name}`"
            self._wrong("E904", message, nearest(name, self.nodes), *at)

    def _protocol(self, text: str, *at: str | int) -> int:
        number = PROTOCOLS.get(text, int(text) if text.isdecimal() and len(text) < 4 else 0)
        if not 0 < number < 256:
            hint = "icmp, tcp, udp, hdp, or 1 to 255"
            self._wrong("E905", f"`{text}` is not an IP protocol", hint, *at)
        return number

    def _expected(self, form: StepForm, kind: str, at: tuple[str | int, ...]) -> model.Expected:
        at = (*at, "expect")
        given = form.expect or ExpectForm.model_validate({})
        numbered = kind == "send" or form.watch is not None
        if given.packets and not numbered:
            message = "this step has no numbered packets"
            self._wrong("E906", message, "use `send`, or `watch` beside `run`", *at, "packets")
        if (given.table and kind not in ("run", "call", "matrix", "meet")) or (
            (given.output or given.not_output) and kind != "run"
        ):
            message = f"`{kind}` has no output to compare"
            self._wrong("E906", message, "only `run` has output", *at)
        packets = [
            (number, self._end(end, *at, "packets", key))
            for key, end in given.packets.items()
            for number in self._numbers(key, *at, "packets")
        ]
        exit_code = given.exit
        if exit_code is None and kind == "run":
            exit_code = 0
        return model.Expected(
            exit=exit_code,
            output=tuple(given.output),
            not_output=tuple(given.not_output),
            packets=tuple(sorted(packets, key=lambda p: p[0])),
            no_more=given.no_more,
            table=self._table(given.table, *at, "table") if given.table else None,
        )

    def _numbers(self, key: str, *at: str | int) -> Iterator[int]:
        first, dash, last = key.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            self._wrong("E907", f"`{key}` is not a packet number or range", "such as 1 or 2-5", *at)
            return
        low, high = int(first), int(last or first)
        if not 0 < low <= high <= MOST_PACKETS:
            self._wrong("E907", f"`{key}` is not a packet number or range", "such as 1 or 2-5", *at)
            return
        yield from range(low, high + 1)

    def _end(self, form: str | EndForm, *at: str | int) -> model.End:
        end = (
            model.End(form)
            if isinstance(form, str)
            else model.End(form.end, form.at, form.by, form.changed, form.what)
        )
        known = [str(d) for d in Disposition]
        if end.disposition not in known:
            message = f"unknown disposition `{end.disposition}`"
            self._wrong("E908", message, nearest(end.disposition, known), *at)
        if end.at:
            self._node(end.at, *at, "at")
        return end

    def _table(self, form: TableForm, *at: str | int) -> model.Table:
        columns = tuple(form.columns)
        if (form.rows is None) == (form.file is None):
            self._wrong("E909", "a table needs either `rows` or a `file`", "give one of them", *at)
            return model.Table(columns, ())
        if form.file is None:
            rows = [tuple(row) for row in form.rows or []]
            for number, row in enumerate(rows):
                if len(row) != len(columns):
                    message = f"{len(row)} values, but {len(columns)} columns"
                    self._wrong("E909", message, "one value per column", *at, "rows", number)
            return model.Table(columns, tuple(rows))
        return model.Table(columns, tuple(self._rows(form.file, columns, *at)))

    def _rows(
        self, name: str, columns: tuple[str, ...], *at: str | int
    ) -> Iterator[tuple[str, ...]]:
        file = self.path.parent / name
        try:
            rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(file.read_text("utf-8"))))
        except OSError as error:
            self._wrong("E909", f"{name}: {error.strerror}", "a CSV file", *at, "file")
            return
        for row in rows:
            lacking = [column for column in columns if row.get(column) is None]
            if lacking:
                message = f"{name} has no column {lacking[0]}"
                self._wrong("E909", message, nearest(lacking[0], row), *at, "columns")
                return
            yield tuple(row[column] for column in columns)
