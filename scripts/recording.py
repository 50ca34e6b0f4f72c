"""Record the README's first screen: commands typed into a shell, and what they really print.

    python scripts/recording.py FILE.cast

The file is an asciicast (version 2, docs.asciinema.org/manual/asciicast/v2). How fast one types and
reads is made up, so that the recording changes only when an answer does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SIZE = 112, 26
TYPING, PAUSE, READING = 0.04, 0.4, 2.2
"""Seconds for a character, before the answer, and after it."""

COMMANDS = (
    "netlab up topologies/firewall.yaml",
    "netlab explain desk server --proto tcp --dport 25",
    "netlab explain server desk --proto udp --dport 53",
    "netlab explain desk web --proto 255",
    "netlab down",
)


def answer(command: str, environment: dict[str, str]) -> str:
    """What the command prints; where packets die its exit code is 1, as it should be."""
    return subprocess.run(
        ["sh", "-c", command],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=60, check=False,
    ).stdout  # fmt: skip


def cast() -> str:
    """The recording as lines of JSON."""
    columns, rows = SIZE
    lines: list[object] = [{"version": 2, "width": columns, "height": rows}]
    now = 0.5

    def show(text: str) -> None:
        lines.append([round(now, 3), "o", text.replace("\n", "\r\n")])

    with tempfile.TemporaryDirectory() as state:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "NETLAB_STATE_DIR": state,
            "COLUMNS": str(columns),
        }
        try:
            for command in COMMANDS:
                show("\x1b[32m$\x1b[0m ")
                for character in command:
                    now += TYPING
                    show(character)
                now += PAUSE
                show("\n" + answer(command, environment))
                now += READING
        finally:
            answer("netlab down --all", environment)
    show("\x1b[32m$\x1b[0m ")
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(cast())
