"""``python -m benchmarks NAME [--quick] [--json]``; NAME may be ``all``."""

from __future__ import annotations

import argparse
import importlib
import json
import sys

from benchmarks import result

BENCHMARKS = {
    "boxes": "what middleboxes made of rules cost, and what a program in a wire carries",
    "build": "labs of many sizes: build, reach, remove",
    "fates": "what watching every packet costs, and how fast it is judged",
    "hdp": "every protocol number through a NAT; floods; latency beside UDP",
    "loss": "the userspace TCP beside the kernel's over links that lose and reorder",
    "start": "the whole process `netlab up topologies/nat.yaml`",
    "stateless": "the stateless server beside nginx, unbound and asyncio",
    "tcp": "the userspace TCP beside the kernel's: bulk, latency, many connections",
}


def main() -> int:
    """Run what was asked for; the exit code is 0 unless something fails."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"  {name:10} {what}" for name, what in BENCHMARKS.items()),
    )
    parser.add_argument("name", choices=[*BENCHMARKS, "all"], help="which benchmark")
    parser.add_argument("--quick", action="store_true", help="smaller; ends within 40 s")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    names = list(BENCHMARKS) if arguments.name == "all" else [arguments.name]
    documents = []
    for name in names:
        found = importlib.import_module(f"benchmarks.{name}").run(quick=arguments.quick)
        documents.append(result.to_json(name, found))
        if not arguments.json:
            print(result.to_text(name, found), end="\n\n", flush=True)
    if arguments.json:
        print(json.dumps(documents if arguments.name == "all" else documents[0], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
