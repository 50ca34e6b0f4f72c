"""Write what a package installs below ``share``: manual pages, completions, the JSON Schema.

python scripts/share.py DIRECTORY
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from manual import manual

from netlab.cli.completion import script
from netlab.topology import json_schema

COMMANDS = ("netlab", "netlab-lab")
COMPLETIONS = {
    "bash": "bash-completion/completions/{}",
    "zsh": "zsh/site-functions/_{}",
    "fish": "fish/vendor_completions.d/{}.fish",
}


def write(directory: Path) -> None:
    """Write all files below ``directory``; equal sources give equal files."""
    os.environ["COLUMNS"] = "80"  # argparse wraps to the terminal otherwise
    files = {f"man/man1/{name}": page for name, page in manual().items()}
    for shell, place in COMPLETIONS.items():
        files |= {place.format(name): script(shell, name) + "\n" for name in COMMANDS}
    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    files["netlab-lab/netlab.schema.json"] = schema + "\n"
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
