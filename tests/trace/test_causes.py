"""Each way to end is brought about in a real lab and named right, with and without BPF."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.capture import recording
from netlab.trace.build import build_traces
from tests.trace.causes import CAUSES, Cause, play, without_reasons

if TYPE_CHECKING:
    from netlab.capture.evidence import Evidence
    from netlab.trace.model import Traces

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.root,  # expects the kernel's own drop reasons, which only BPF sees
    pytest.mark.usefixtures("netlab_state"),
]


def judged(evidence: Evidence, cause: Cause) -> Traces:
    return build_traces(evidence).where(proto=cause.proto)


@pytest.mark.parametrize("name", CAUSES)
def test_is_named_right_and_as_far_as_possible_without_drop_reasons(name: str) -> None:
    cause = CAUSES[name]
    evidence = play(cause)
    assert evidence.gaps == (), "this machine should see everything"
    traces = judged(evidence, cause)
    ended = [packet_trace for packet_trace in traces if packet_trace.disposition is cause.end]
    assert len(ended) == cause.number, [packet_trace.to_json() for packet_trace in traces]
    for packet_trace in ended:
        assert packet_trace.node == cause.node
        assert packet_trace.reason.source == cause.source
        assert cause.rule in packet_trace.reason.rule
        assert packet_trace.reason.topology == cause.topology
    assert len(traces.arrived) == cause.arrived
    check_without_drop_reasons(evidence, cause)


def check_without_drop_reasons(evidence: Evidence, cause: Cause) -> None:
    """The same evidence less what needs BPF: coarser where it must be, and never surer."""
    traces = judged(without_reasons(evidence), cause)
    assert not traces.complete
    ended = [
        packet_trace
        for packet_trace in traces
        if packet_trace.disposition is cause.blind and packet_trace.node == cause.node
    ]
    assert len(ended) >= cause.number
    witnesses = (cause.source,) if cause.source in ("nft", "conntrack") else ("inferred",)
    assert {packet_trace.reason.source for packet_trace in ended} <= set(witnesses)


def test_without_privileges_the_answers_are_the_same_and_less_certain() -> None:
    # A user namespace with root inside and nothing outside: no BPF, no large socket buffers.
    asked = [name for name in CAUSES if name != "neighbour"]
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    said = subprocess.run(
        [
            *(*alone, 'mount -t tmpfs tmpfs /run && exec "$@"', "sh"),
            *(sys.executable, "-m", "tests.trace.causes", *asked),
        ],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "NETLAB_STATE_DIR": "/run/netlab-lab"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    answers = json.loads(said.stdout)
    for name in asked:
        cause = CAUSES[name]
        assert answers[name]["complete"] is False
        ends = [p["disposition"] for p in answers[name]["packets"] if p["proto"] == cause.proto]
        assert ends.count(cause.blind) >= cause.number, (name, ends)


def test_evidence_survives_a_file() -> None:
    evidence = play(CAUSES["clash"])
    again = recording.read(recording.write(evidence))
    assert again == evidence
    assert build_traces(again).to_json() == build_traces(evidence).to_json()
