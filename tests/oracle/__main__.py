"""Play many samples and print how often netlab was right, by kind."""

import argparse
import os
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from netlab.errors import NetlabError
from tests.oracle.play import ASKED, Finding, Row, broken, keep, play, rows, seed_of
from tests.oracle.truth import Verdict

DISCARDED = "discarded"


def main() -> int:
    """Exit code 0 if nothing is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--flows", type=int, default=300, help="how many (default: 300)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="TEXT", help="kinds with this in their name")
    parser.add_argument("--number", type=int, help="only this sample of each kind")
    parser.add_argument("--save", metavar="DIR", help="write what disagrees, with its topology")
    parser.add_argument("--slow", action="store_true", help="as many of the slow kinds as others")
    arguments = parser.parse_args()
    counts: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory(prefix="oracle") as directory:
        os.environ["NETLAB_STATE_DIR"] = f"{directory}/state"
        os.environ["XDG_CACHE_HOME"] = f"{directory}/cache"
        for row, seed in _samples(arguments):
            try:
                for finding in play(row, seed, Path(directory)):
                    _count(counts, finding)
                    _tell(finding, arguments.save)
            except NetlabError as error:
                print(broken(row, seed, error), file=sys.stderr)
                counts[str(row)]["explain", DISCARDED] += 1
    print(table(counts))
    wrong = sum(c[who, "wrong"] for c in counts.values() for who in ASKED)
    return 1 if wrong else 0


def _samples(arguments: argparse.Namespace) -> list[tuple[Row, str]]:
    chosen = [row for row in rows() if arguments.only in str(row)]
    if arguments.number is not None:
        return [(row, seed_of(arguments.seed, row, arguments.number)) for row in chosen]
    found: list[tuple[Row, str]] = []
    number = 0
    while len(found) < arguments.flows:
        found += [
            (row, seed_of(arguments.seed, row, number))
            for row in chosen
            if not row.kind.slow or arguments.slow or number % 4 == 0
        ]
        number += 1
    return found[: arguments.flows]


def _count(counts: dict[str, Counter[tuple[str, str]]], finding: Finding) -> None:
    own = counts[str(finding.row)]
    if finding.missing:
        own["explain", DISCARDED] += 1
    for who, judgement in finding.judged.items():
        own[who, str(judgement.verdict)] += 1


def _tell(finding: Finding, directory: str | None) -> None:
    if finding.missing:
        print(f"DISCARDED [{finding.seed}] not seen: {', '.join(finding.missing)}")
    for who, judgement in finding.wrong.items():
        print(f"{judgement.verdict.upper()} {who} [{finding.seed}] {judgement.why}")
    if directory and (finding.missing or finding.wrong):
        print(f"    {keep(finding, Path(directory))}")
    sys.stdout.flush()


def table(counts: dict[str, Counter[tuple[str, str]]]) -> str:
    """Markdown: a line for each kind, with the sums first."""
    words = [str(v) for v in Verdict]
    head = ["Kind", *(f"{who} {word}" for who in ASKED for word in words), DISCARDED]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    total: Counter[tuple[str, str]] = Counter()
    for count in counts.values():
        total.update(count)
    for name, count in [("**all**", total), *sorted(counts.items())]:
        numbers = [count[who, word] for who in ASKED for word in words]
        cells = [name, *map(str, [*numbers, count["explain", DISCARDED]])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
