"""Kinds of traffic against obstacles: which survive, each pair in a lab of its own.

traffic.py    PURE  the kinds of traffic
cells.py      PURE  a step of a scenario -> its cells; each holds the plan of its lab
options.py    PURE  what a user decides: which part, by which workers
select.py     PURE  the part of the cells that a user wants
perform.py    one cell: a lab, the traffic, the result
converse.py   a message there and back, over the kernel's TCP, ours, and a stateless one
workers.py    processes of this machine, or workers of a dask cluster
journal.py    what was done before an interruption
run.py        all cells to a table

    step ──▶ cells ──▶ (workers: perform each) ──▶ Found ──▶ rows
                              journal ◀──┘

Workers need neither files nor the parser: a cell is all that they are given.
"""

from __future__ import annotations
