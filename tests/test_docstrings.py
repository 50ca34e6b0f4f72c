"""A public function that raises says so in a ``Raises:`` section of its docstring."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

MODULES = [
    path
    for path in sorted((ROOT / "netlab").rglob("*.py"))
    # Commands report errors to people, not to callers.
    if "cli" not in path.relative_to(ROOT).parts
]

UNDECLARED = frozenset(
    {
        "AssertionError", "AttributeError", "KeyboardInterrupt", "NotImplementedError",
        "StopIteration", "SystemExit",
    }
)  # fmt: skip
"""What a caller is not meant to handle, or what a protocol of Python asks for."""


def public(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in getattr(tree, "body", ()):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name.startswith("_"):
                continue
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{prefix}{node.name}.")
            else:
                yield prefix + node.name, node  # type: ignore[misc]


def raised(function: ast.FunctionDef) -> set[str]:
    """The exceptions that the function itself raises by their class."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            name = ast.unparse(error)
            if name.rpartition(".")[2][:1].isupper():
                found.add(name)
        waiting += ast.iter_child_nodes(node)
    return {name for name in found if not name.startswith("_")} - UNDECLARED


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_a_function_raises_is_in_its_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    silent = [
        f"{path.name}:{function.lineno} {name} raises {', '.join(sorted(names))}"
        for name, function in public(tree)
        if (names := raised(function)) and "Raises:" not in (ast.get_docstring(function) or "")
    ]
    assert not silent, "\n".join(silent)


def test_the_look_finds_what_is_missing() -> None:
    tree = ast.parse("def f():\n    if x:\n        raise ValueError(1)\n")
    [(name, function)] = public(tree)
    assert (name, raised(function)) == ("f", {"ValueError"})
