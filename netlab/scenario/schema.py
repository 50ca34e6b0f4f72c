"""The form of a scenario file. What forms cannot know (is there such a node?) is read.py's part."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from netlab.topology.fields import (
    Argv,
    Boolean,
    Integer,
    Number,
    Port,
    Regex,
    Text,
    Word,
    one_or_more,
)
from netlab.topology.schema import Form

Regexes = Annotated[list[Regex], *one_or_more({"type": ["string", "number"]})]
Words = Annotated[list[Word], *one_or_more({"type": "string"})]


class SendForm(Form):
    """Packets that are sent one after the other, each numbered from 1."""

    source: Word = Field(alias="from", description="The node that sends.")
    target: Word = Field(alias="to", description="A node, or an address.")
    protocol: Text = Field(description="icmp, tcp, udp, hdp or a number of IP's.")
    count: Integer = Field(1, ge=1, le=10_000, description="How many.")
    port: Port | None = Field(None, description="The destination port of tcp and udp.")
    size: Integer = Field(32, ge=8, le=65_000, description="Octets of payload.")
    family: Integer = Field(4, description="4 or 6.")
    listen: Boolean = Field(True, description="Whether a socket is held open at the target.")


class MatrixForm(Form):
    """Kinds of traffic against obstacles, each pair in a lab of its own."""

    source: Word = Field(alias="from", description="The node that sends.")
    target: Word = Field(alias="to", description="The node that is to be reached.")
    box: Word = Field(description="The node that is each obstacle in turn.")
    wire: Word = Field(description="`node:interface`: the link that is each obstacle in turn.")
    traffic: Words = Field(min_length=1, description="Kinds of traffic.")
    obstacles: dict[Word, Any] = Field(
        min_length=1, description="By name: keys of a node, and under `link` keys of a link."
    )


class MeetForm(Form):
    """Two programs that look for each other through pairs of NATs, as `netlab meet` lets them."""

    a: Argv | None = Field(None, description="What anna runs; without both a program of our own.")
    b: Argv | None = Field(None, description="What boris runs.")
    rendezvous: Argv | None = Field(None, description="What runs at the server, in our place.")
    turn: Boolean = Field(False, description="Whether coturn runs at the server.")
    until: Text = Field("exit:0", description="When they have met, such as output:^connected.")
    pairs: Text = Field("classic", description="classic, presets, all, or a list of pairs.")
    repeat: Integer = Field(1, ge=1, le=1000, description="How often each pair is played.")
    limit: Number = Field(20.0, gt=0, le=300, description="Seconds that a run of a pair may take.")


class WatchForm(Form):
    """Which packets of a command are numbered."""

    protocol: Text = Field(description="icmp, tcp, udp, hdp or a number of IP's.")
    port: Port | None = Field(None, description="Only those with this port at either end.")


class EndForm(Form):
    """How a packet must end."""

    end: Word = Field(description="The disposition, such as delivered or denied.")
    at: Word = Field("", description="The node where it ends.")
    by: Text = Field("", description="A part of the rule, its label, or the reason.")
    changed: Text = Field("", description="A header field that was changed on its way.")
    what: Text = Field("", description="What the packet is, such as SYN+ACK.")


class TableForm(Form):
    """The rows that must come out."""

    columns: Words = Field(min_length=1, description="The columns that are compared.")
    rows: list[list[Text]] | None = Field(None, description="The rows, in the order of columns.")
    file: Word | None = Field(None, description="A CSV file beside the scenario with the rows.")


class ExpectForm(Form):
    """What must come of a step."""

    exit: Integer | None = Field(None, ge=0, le=255, description="The exit code (default: 0).")
    output: Regexes = Field([], description="Regular expressions that the output matches.")
    not_output: Regexes = Field([], alias="not-output", description="Ones that it does not match.")
    packets: dict[Text, Word | EndForm] = Field(
        {}, description="By number, as `1` or `2-5`: how the packet ends."
    )
    no_more: Boolean = Field(
        False, alias="no-more", description="No packets other than those listed may appear."
    )
    table: TableForm | None = Field(None, description="The rows that must come out.")


class AdvanceForm(Form):
    """Time that passes at once for what a node keeps of flows."""

    at: Word = Field(description="The node.")
    seconds: Integer = Field(ge=1, le=1_000_000, description="How much longer all was idle.")
    protocol: Text | None = Field(None, description="Only flows of icmp, tcp, udp or a number.")


class StepForm(Form):
    """One thing that is done: exactly one of the keys in ACTIONS."""

    name: Text = Field("", description="What reports call it.")
    explain: Text = Field("", description="What a demo says before it, in Markdown.")
    send: SendForm | None = Field(None, description="Packets to send, each with a number.")
    run: Argv | None = Field(None, description="A command to run to its end.")
    start: Argv | None = Field(None, description="A program to start, which then stays.")
    wait: Argv | None = Field(None, description="A command to repeat until its output fits.")
    set: dict[Word, Text] | None = Field(None, description="Settings to change, by path.")
    link: dict[Word, Word | dict[Word, Text]] | None = Field(
        None, description="By node:interface: up, down, or values as delay: 50ms."
    )
    advance: AdvanceForm | None = Field(None, description="Timeouts to advance.")
    rebind: Word | None = Field(None, description="A NAT whose mappings get other ports.")
    reboot: Word | None = Field(None, description="A NAT that forgets all.")
    call: Word | None = Field(None, description="`file.py:function`, beside the scenario.")
    matrix: MatrixForm | None = Field(None, description="Kinds of traffic against obstacles.")
    meet: MeetForm | None = Field(None, description="Two programs, through pairs of NATs.")
    node: Word = Field("", alias="in", description="The node for run, start and wait.")
    input: Text = Field("", description="What run reads from standard input.")
    ready: Regex | None = Field(None, description="With start: what it prints when it is ready.")
    until: Regex | None = Field(None, description="With wait: what the output must match.")
    watch: WatchForm | None = Field(None, description="With run: the packets to number.")
    timeout: Number = Field(20.0, gt=0, le=300, description="Seconds that the step may take.")
    expect: ExpectForm | None = Field(None, description="What must come of it.")
    points: Integer = Field(1, ge=0, le=1000, description="In an exercise: what it is worth.")


class ExerciseForm(Form):
    """What makes a scenario an exercise: the student puts its lab right."""

    task: Text = Field(description="Markdown: what is to be done.")
    hints: list[Text] = Field([], description="Hints, opened one after the other.")
    solution: Word | None = Field(None, description="A topology file that meets all of it.")
    locked: Words = Field(
        [], description="Paths in the topology file that must not be changed: `nodes.server`."
    )
    own_programs: Boolean = Field(
        False, alias="own-programs", description="Whether the student's file may run programs."
    )


class PublishedForm(Form):
    """A published result beside the lab's."""

    what: Text = Field(description="What was measured.")
    published: Text = Field(description="What the source says.")
    lab: Text = Field(description="What the lab shows.")
    source: Text = Field("", description="Where it is published.")


class ScenarioForm(Form):
    """A scenario file."""

    title: Text = Field(description="In a line.")
    topology: Word = Field(description="The topology file, seen from the scenario's directory.")
    story: Text = Field(description="Markdown: what you will see, why, what to try next.")
    sources: list[Text] = Field([], description="Where it comes from.")
    published: list[PublishedForm] = Field([], description="Published results beside the lab's.")
    needs: Words = Field([], description="Programs that must be installed, or `bpf`.")
    exercise: ExerciseForm | None = Field(None, description="What the student is to do.")
    steps: list[StepForm] = Field(min_length=1, description="What is done, in order.")


ACTIONS = (
    "send", "run", "start", "wait", "set", "link", "advance", "rebind", "reboot", "call", "matrix",
    "meet",
)  # fmt: skip


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of scenario files, short forms included."""
    schema = ScenarioForm.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
