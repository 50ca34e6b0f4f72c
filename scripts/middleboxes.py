"""Print docs/middleboxes.md: the catalogue, from the catalogue."""

from __future__ import annotations

import json
from pathlib import Path

from netlab.cli.verify import default
from netlab.middlebox.catalogue import CATALOGUE

HEAD = """\
# Middleboxes

A middlebox is at a node that forwards, if nftables rules can be it, or on a link, if it needs
a program. `netlab boxes` lists the kinds, `netlab verify FILE` measures those of a topology from
their ends. This page is made from the catalogue by `scripts/middleboxes.py`; the tables of what was
sent and measured are of `make docs`, each kind alone, with its defaults or the few parameters that
it needs (`scripts/measured.py`). What is expected is data, with sources, in
`netlab/verify/expected`.

```yaml
nodes:
  client:
  router: {kind: router, middleboxes: [first-packet-only, {kind: every-nth, n: 7}]}
  server:
links:
  - [client:eth0, router:a]
  - ends: [router:b, server:eth0]
    delay: 20ms
    loss: 1%
    seed: 7
    inbound: {rate: 10mbit}
    middleboxes: [sequence-rewrite, {kind: split, size: 536}]
```

A link with any of these becomes two wires with a program between them, a node of kind `wire` in
`netlab status`, at whose ends all offloads are off. *Outbound* is from the first end of `ends` to
the second. The same seed gives the same packets the same fate in each run. The kernel's own means
(netem, tbf) are not used, even where a kernel has them, which many have not: the program does the
same everywhere, and leaves nothing of a packet's fate to chance. `netlab status` says what it does,
`netlab link END delay=50ms inbound.loss=1%` changes it. It carries more than 100,000 packets and
700 Mbit a second on one core (`python -m benchmarks boxes`); what it could not keep up with is
counted: `netlab link END` tells.

## One of your own

```python
# boxes.py, beside the topology file
from netlab.middlebox import Middlebox


class EverySecond(Middlebox):
    def __init__(self):
        self.seen = {"outbound": 0, "inbound": 0}

    def packet(self, pkt, direction, now):
        self.seen[direction] += 1
        if self.seen[direction] % 2:
            yield pkt
```

```yaml
    middleboxes: [{python: "boxes.py:EverySecond"}]
```

`packet` yields what leaves: packets, `After(seconds, packet)` for later, `Back(packet)` for an
answer; nothing is a drop, and `Drop("why")` one that gives its reason. `pkt.ip`, `pkt.tcp` and
`pkt.payload` are the headers and the data, `pkt.with_tcp(...)` a copy with right lengths and
checksums, `self.rng` a random source that the topology seeds. Keys beside `python:` are arguments
of the class. What it does with each packet is shown by `netlab trace` (docs/fate.md). It is tried
without root over a simulated wire:

```python
# test_boxes.py, for pytest
from boxes import EverySecond
from netlab.middlebox import SimulatedLink, datagram


def test_every_second_packet_is_dropped():
    link = SimulatedLink(EverySecond())
    link.send("outbound", [datagram(b"1"), datagram(b"2"), datagram(b"3")])
    arrived = link.run()  # time, direction and packet of each
    assert [a.packet.payload for a in arrived] == [b"1", b"3"]
```

There is `segment` for TCP as well; `link.advance(seconds)` lets some time pass, `run` all that is
needed.
"""


MEASURED = Path(__file__).parents[1] / "docs" / "measured" / "boxes.json"


def measured(rows: list[dict[str, str]]) -> None:
    """What `netlab verify` saw of a kind, as a table."""
    if rows:
        print("| Sent through it | Expected | Measured |\n|---|---|---|")
        for row in rows:
            same = row["measured"] == row["declared"]
            seen = "as expected" if same else f"**{row['measured']}**"
            print(f"| {row['row']} | {row['declared']} | {seen} |".replace("\r\n", " "))
        print()


def main() -> None:
    """Print the whole page."""
    seen = json.loads(MEASURED.read_text(encoding="utf-8"))
    print(HEAD)
    for title, is_rules in (("Kinds made of rules, at a node", True), ("Kinds on a link", False)):
        print(f"## {title}\n")
        for kind in CATALOGUE.values():
            if kind.is_rules is not is_rules:
                continue
            print(f"### {kind.name}\n\n{kind.summary}\n\n*Seen from the ends:* {kind.seen}")
            print(f"*Source:* {kind.source}.\n")
            if kind.parameters:
                print("| Parameter | Value | What it is |\n|---|---|---|")
                for p in kind.parameters:
                    print(f"| `{p.name}` | {default(p)} | {p.help} |")
                print()
            measured(seen.get(kind.name, []))


main()
