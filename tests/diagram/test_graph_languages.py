from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from netlab.diagram import graph
from tests.diagram import strategies
from tests.diagram.labs import LABS
from tests.programs import needs

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.topology.model import Topology


@pytest.mark.parametrize("name", ["nat", "cgn", "three-sites", "firewall"])
def test_look_as_approved(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.dot", graph.dot(LABS[name]))
    golden(f"{name}.mmd", graph.mermaid(LABS[name]))


@needs("dot")
@given(strategies.topologies())
@settings(max_examples=15, deadline=None)
def test_graphviz_accepts_dot(topology: Topology) -> None:
    done = subprocess.run(
        ["dot", "-Tcanon"], input=graph.dot(topology).encode(), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


# The part of Graphviz's language that is used, one statement to a line.
_ID = r'"(?:[^"\\]|\\.)*"'
_ATTRIBUTES = rf"\[\w+=(?:[\w.]+|{_ID})(?:,\ \w+=(?:[\w.]+|{_ID}))*\]"
_DOT = re.compile(
    rf"""graph\ {_ID}\ \{{ | \ +(?:graph|node|edge)\ {_ATTRIBUTES} | \ +{_ID}\ {_ATTRIBUTES}
    | \ +{_ID}\ --\ {_ID}\ {_ATTRIBUTES} | \ +subgraph\ {_ID}\ \{{
    | \ +label={_ID};\ style=dashed | \ *\}}""",
    re.VERBOSE,
)

# The part of Mermaid's flowchart language that is used; labels hold nothing but harmless
# characters, numeric entities and line breaks.
_LABEL = r'"(?:[\w .,:/()=→⇄✗-]|\#\d+;|<br>)*"'
_MERMAID = re.compile(
    rf"""flowchart\ LR | \ +acc(?:Title|Descr):[^\#;]* | \ +n\d+\[{_LABEL}\]
    | \ +n\d+\(\[{_LABEL}\]\) | \ +n\d+\{{\{{{_LABEL}\}}\}} | \ +n\d+\[\[{_LABEL}\]\]
    | \ +n\d+\[/{_LABEL}/\] | \ +n\d+\ ---\|{_LABEL}\|\ n\d+ | \ +subgraph\ rn\d+\[{_LABEL}\]
    | \ +end | \ +classDef\ \w+\ [\w:\#,]+ | \ +class\ n\d+(?:,n\d+)*\ \w+""",
    re.VERBOSE,
)


@given(strategies.topologies())
@settings(max_examples=100, deadline=None)
def test_only_known_statements(topology: Topology) -> None:
    for language, drawing in ((_DOT, graph.dot(topology)), (_MERMAID, graph.mermaid(topology))):
        for line in drawing.splitlines():
            assert language.fullmatch(line), line


@given(strategies.topologies())
@settings(max_examples=100, deadline=None)
def test_blocks_close_and_edges_meet_nodes(topology: Topology) -> None:
    mermaid = graph.mermaid(topology).splitlines()
    assert sum("subgraph" in line for line in mermaid) == mermaid.count("  end") + sum(
        line.strip() == "end" and line != "  end" for line in mermaid
    )
    declared = {m[1] for line in mermaid if (m := re.match(r" +(n\d+)[\[({]", line))}
    used = {
        name
        for line in mermaid
        if "---" in line
        for name in re.findall(r"\bn\d+\b", line)
        if line.split()[0] == name or line.split()[-1] == name
    }
    assert used <= declared
    assert len(declared) == len(topology.nodes)
    dot = graph.dot(topology)
    assert sum(line.endswith("{") for line in dot.splitlines()) == sum(
        line.strip() == "}" for line in dot.splitlines()
    )
