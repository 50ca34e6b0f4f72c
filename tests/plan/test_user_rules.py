"""The author's own rules say where they stand, and nothing else of them changes."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.errors import Position
from netlab.nft.lexer import Unreadable, statements
from netlab.plan.build import build
from netlab.plan.operations import LoadRules
from netlab.plan.user_rules import located
from netlab.topology import loads

if TYPE_CHECKING:
    from pathlib import Path

HERE = Position("topologies/lab.yaml", 11, 1)

TEXT = """\
# a head; with { a brace
define ports = { 22,
  80 }
table inet careful {
  set s { type ipv4_addr; flags interval
    elements = { 10.0.0.0/8,
      192.168.0.0/16 } }
  chain c { type filter hook input priority 0; policy drop; }
  chain forward {
    comment "careful"
    type filter hook forward priority filter + 10; policy drop;
    meta l4proto { tcp, udp,
      icmp } accept  # why; not }
    ip saddr @s counter \\
      drop comment "own { brace"
    tcp dport 22 accept; udp dport 53 drop comment bare
    log prefix "a;b}" jump other
  }
  chain other {
    counter; tcp dport 1 drop
  }
}
add rule inet careful other tcp dport $ports drop
"""
SAID = """\
# a head; with { a brace
define ports = { 22,
  80 }
table inet careful {
  set s { type ipv4_addr; flags interval
    elements = { 10.0.0.0/8,
      192.168.0.0/16 } }
  chain c { type filter hook input priority 0; policy drop; comment "lab.yaml:18"; }
  chain forward {
    comment "careful lab.yaml:21"
    type filter hook forward priority filter + 10; policy drop;
    meta l4proto { tcp, udp,
      icmp } accept comment "lab.yaml:22"  # why; not }
    ip saddr @s counter \\
      drop comment "own { brace lab.yaml:24"
    tcp dport 22 accept comment "lab.yaml:26"; udp dport 53 drop comment "bare lab.yaml:26"
    log prefix "a;b}" jump other comment "lab.yaml:27"
  }
  chain other {
    counter comment "lab.yaml:30"; tcp dport 1 drop comment "lab.yaml:30"
  }
}
add rule inet careful other tcp dport $ports drop comment "lab.yaml:33"
"""


def test_each_rule_and_each_policy_that_drops_says_its_line() -> None:
    assert located(TEXT, HERE, is_block=True) == SAID


@pytest.mark.kernel
def test_nft_reads_what_was_made_of_it(tmp_path: Path) -> None:
    listed = []
    for text in (TEXT, SAID):
        file = tmp_path / "rules.nft"
        file.write_text(text)
        script = 'nft -f "$1" && nft list ruleset'
        words = [
            "unshare",
            "--user",
            "--map-root-user",
            "--net",
            "sh",
            "-c",
            script,
            "sh",
            str(file),
        ]
        ran = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stderr) == (0, "")
        listed.append([line.partition(' comment "')[0] for line in ran.stdout.splitlines()])
    before, after = ([line for line in said if "\tcomment" not in line] for said in listed)
    assert before == after
    assert len(before) > 20


@pytest.mark.parametrize(
    "text", ["table ip t {\n chain c {\n  drop\n", "drop }\n", "table ip t { { }", 'drop "']
)
def test_what_is_not_understood_stays_as_it_is(text: str) -> None:
    with pytest.raises(Unreadable):
        list(statements(text))
    assert located(text, HERE, is_block=True) == text


pieces = st.sampled_from(
    ("table ip t {", "chain c {", "}", "{", "\n", ";", " ", "drop", "comment x", 'comment "a b"',
     "policy drop", '"', "#", "\\", "set s {", "elements = { 1 }", "add rule ip t c drop", "é")
)  # fmt: skip


@given(st.lists(pieces, max_size=30).map(" ".join))
def test_any_text_keeps_its_lines_and_its_statements(text: str) -> None:
    told = located(text, HERE, is_block=False)
    assert told.count("\n") == text.count("\n")
    assert located(told, HERE, is_block=False).count("\n") == text.count("\n")
    try:
        before = list(statements(text))
    except Unreadable:
        assert told == text
    else:
        rules = [s for s in before if s.is_rule]
        assert [s.line for s in statements(told) if s.is_rule] == [s.line for s in rules]


FILE = """\
nodes:
  a:
    nftables: {form}
      table ip t {{
        chain c {{
          drop
        }}
      }}
"""


@pytest.mark.parametrize(("form", "line"), [("|", 6), ("|-", 6), ("| # mine", 6), (">", 3)])
def test_a_block_in_the_file_keeps_its_lines(form: str, line: int) -> None:
    plan = build(loads(FILE.format(form=form), "lab.yaml"))
    [loaded] = [o for o in plan.operations if isinstance(o, LoadRules)]
    if form == ">":  # folded: nft would see other lines, and refuse the text
        assert (loaded.origin, loaded.is_block) == ("lab.yaml:3", False)
    else:
        assert f'drop comment "lab.yaml:{line}"' in loaded.text
        assert (loaded.origin, loaded.is_block) == ("lab.yaml:4", True)
