"""What is run in a lab, what must come of it, and the verdict.

model.py      PURE  a scenario: its steps and what is expected of each
schema.py     PURE  the file's form
read.py       PURE  a file -> Scenario, or every problem of it with line and hint
library.py    the scenarios that ship
packets.py    PURE  fates -> numbered packets, without what differs from run to run
judge.py      PURE  expectations against what was observed
outcome.py    PURE  what was observed, the verdict, its digest, its JSON
perform.py    one step in a running lab
call.py       a Python function as a step, in a process of its own
run.py        a lab, all steps, the verdict; nothing is left
matrix/       a step of its own kind: traffic against obstacles, a lab for each pair

    file ──▶ Scenario ──▶ (run: a lab, each step) ──▶ Observation ──▶ judge ──▶ Outcome
"""

from __future__ import annotations
