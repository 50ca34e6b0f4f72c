"""Print docs/architecture.md with its map drawn from the code: the rooms, and what they import.

``python scripts/architecture.py > docs/architecture.md``: what is between the markers is
replaced, the rest of the page is kept.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PACKAGE = ROOT / "netlab"


def page() -> str:
    """The page with both generated parts made new."""
    text = PAGE.read_text()
    for name, part in (("map", _map()), ("modules", _modules())):
        head, start, rest = text.partition(f"<!-- {name}: written by scripts/architecture.py -->\n")
        _, end, tail = rest.partition(f"<!-- end of {name} -->")
        text = f"{head}{start}\n{part}\n{end}{tail}"
    return text


def rooms() -> dict[str, list[Path]]:
    """The modules of each room, by its name; ``errors`` is a room of one module."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).parts
        if parts[0] not in ("__init__.py", "__main__.py"):
            found.setdefault(parts[0].removesuffix(".py"), []).append(path)
    return found


def imports(path: Path) -> set[str]:
    """The rooms that a module imports when it runs, wherever in it the import is."""
    found = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == "netlab":
                found |= {parts[1]} if parts[1:] else {alias.name for alias in node.names}
        waiting += ast.iter_child_nodes(node)
    return found


def _map() -> str:
    known = rooms()
    needs = {
        room: {other for path in paths for other in imports(path) if other in known} - {room}
        for room, paths in known.items()
    }
    # An arrow that follows from others is left out, so that the layers are easy to see.
    arrows = [
        f"    {room} --> {other}"
        for room, others in needs.items()
        for other in sorted(others)
        if not any(other in _all(needs, between) for between in others - {other})
    ]
    return "\n".join(["```mermaid", "flowchart TD", *arrows, "```"])


def _all(needs: dict[str, set[str]], room: str) -> set[str]:
    found: set[str] = set()
    waiting = [room]
    while waiting:
        for other in needs[waiting.pop()] - found:
            found.add(other)
            waiting.append(other)
    return found


def _modules() -> str:
    lines = []
    for room, paths in rooms().items():
        index = [path for path in paths if path.name == "__init__.py" and path.parent.name == room]
        title = f"### {room}/" if index else f"### {room}.py"
        lines += [title, "", *(_sentence(path) for path in index), ""]
        lines += ["| module | what it is |", "|---|---|"]
        lines += [
            f"| `{path.relative_to(PACKAGE / room if index else PACKAGE)}` | {_sentence(path)} |"
            for path in paths
            if path.name != "__init__.py"
        ]
        lines.append("")
    return "\n".join(lines)


def _sentence(path: Path) -> str:
    """The first paragraph of a module's docstring, which says what it is."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
