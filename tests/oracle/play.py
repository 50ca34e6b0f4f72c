"""Plays samples: builds the lab, asks netlab, hears the witnesses, judges; keeps what disagrees."""

import importlib
import json
import random
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as File
from typing import NamedTuple

from netlab.errors import NetlabError
from netlab.lab.lab import Lab
from tests.oracle import ask
from tests.oracle.sample import KINDS, Draw, Kind, Question, Sample
from tests.oracle.truth import Answer, Judgement, Verdict, judge, of_plan
from tests.oracle.witness import Watch

for _name in ("arriving", "sender", "router", "receiver", "nat", "crafted"):
    importlib.import_module(f"tests.oracle.kinds_{_name}")

ASKED = ("explain", "predict", "predict --file")


class Row(NamedTuple):
    """A line of the table: a kind, drawn with ways that copy packets or without."""

    kind: Kind
    copies: bool

    def __str__(self) -> str:
        return self.kind.name + (", packets copied" if self.copies else "")


def rows() -> list[Row]:
    """Every row, in the order in which the kinds are written."""
    return [Row(kind, copies) for kind in KINDS for copies in (False, True)[: 1 + kind.copies]]


@dataclass
class Finding:
    """What came of one question."""

    row: Row
    seed: str
    question: Question
    topology: str
    missing: list[str]
    """What the witnesses did not confirm: then nothing was judged."""
    judged: dict[str, Judgement]
    answers: dict[str, Answer]

    @property
    def wrong(self) -> dict[str, Judgement]:
        return {who: j for who, j in self.judged.items() if j.verdict is not Verdict.RIGHT}


def seed_of(seed: int, row: Row, number: int) -> str:
    """What a sample is drawn from; printed, it makes the same sample again."""
    return f"{seed}/{row}/{number}"


def make(row: Row, seed: str) -> Sample:
    """The sample of a seed."""
    return row.kind.make(Draw(random.Random(seed), row.copies))


def play(row: Row, seed: str, directory: File) -> Iterator[Finding]:
    """Build the sample's lab and ask each of its questions; one finding for each."""
    sample = make(row, seed)
    text = sample.path.text()
    file = directory / "oracle.yaml"
    file.write_text(text)
    with Lab(file) as lab:
        for act in sample.prepare:
            act(lab)
        for question in sample.questions:
            yield _ask(lab, question, file, row=row, seed=seed, topology=text)


def _ask(
    lab: Lab, question: Question, file: File, *, row: Row, seed: str, topology: str
) -> Finding:
    flow = question.flow
    answers: dict[str, Answer] = {}
    if isinstance(flow, ask.Flow):
        answers["predict"] = ask.predict(flow, lab=lab.name)
    if isinstance(flow, ask.Flow) and question.predictable:
        answers["predict --file"] = ask.predict(flow, file=str(file))
    with Watch(lab, flow.source, question.doors, question.witnesses) as watch:
        if isinstance(flow, ask.Flow):
            answers["explain"] = ask.explain(lab.name, flow)
        else:
            answers["explain"] = ask.trace(lab.name, flow)
        missing = watch.confirm(question.patience)
    judged = {}
    if not missing:
        if question.settled:
            question.truth = question.settled(watch.seen)
        for who, answer in answers.items():
            truth = question.truth if who == "explain" else of_plan(question.truth)
            judged[who] = judge(answer, truth)
    return Finding(row, seed, question, topology, missing, judged, answers)


def broken(row: Row, seed: str, error: NetlabError) -> str:
    """A line for a sample whose lab does not come up."""
    return f"{row} [{seed}]: no lab: {error}"


def keep(finding: Finding, directory: File) -> File:
    """Write the topology and what was asked, true and said; the topology's file."""
    directory.mkdir(parents=True, exist_ok=True)
    name = "".join(c if c.isalnum() else "-" for c in finding.seed).strip("-")
    number = len(list(directory.glob(f"{name}.*.yaml"))) + 1
    file = directory / f"{name}.{number}.yaml"
    file.write_text(finding.topology)
    truth = finding.question.truth
    told = {
        "seed": finding.seed,
        "asked": shlex.join(finding.question.flow.words("")),
        "true": [str(end) for end in truth.ends],
        "answer": str(truth.reply),
        "witnesses": [w.text for w in finding.question.witnesses],
        "not confirmed": finding.missing,
        "judged": {who: [str(j.verdict), j.why] for who, j in finding.judged.items()},
        "said": {who: answer.output for who, answer in finding.answers.items()},
    }
    file.with_suffix(".json").write_text(json.dumps(told, indent=1, ensure_ascii=False))
    return file
