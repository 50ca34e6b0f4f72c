"""Manual pages, man(7), written from what each command says of itself with ``--help``."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from netlab import __version__
from netlab.cli import COMMANDS, full_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = (
    ("/run/netlab-lab", "the labs of root"),
    ("$XDG_RUNTIME_DIR/netlab-lab", "the labs of an ordinary user"),
    ("~/.cache/netlab-lab", "plans that were made before, for a faster \\fBnetlab up\\fR"),
)
ENVIRONMENT = (
    ("NETLAB_STATE_DIR", "an absolute path: the directory of the labs, in place of the above"),
    ("NO_COLOR", "if set and not empty, output has no colours"),
    ("COLUMNS", "the width of help texts and drawings"),
)
EXIT_STATUS = (
    ("0", "success"),
    ("1", "what was asked for failed"),
    ("2", "wrong usage, or a file with errors"),
)


def manual() -> dict[str, str]:
    """Every page by its file's name: ``netlab.1``, one for each command, and an alias."""
    parser = full_parser()
    pages = {"netlab.1": _overview(parser), "netlab-lab.1": ".so man1/netlab.1\n"}
    for name, child in _children(parser):
        pages[f"netlab-{name}.1"] = _command(name, child)
    return pages


def _overview(parser: argparse.ArgumentParser) -> str:
    lines = [
        *_head("netlab", "build network labs and explain the fate of every packet"),
        ".SH SYNOPSIS",
        ".B netlab\n\\fICOMMAND\\fR [\\fIARGUMENT\\fR...]\n.br\n.B netlab-lab\n\\fICOMMAND\\fR ...",
        ".SH DESCRIPTION",
        _text(parser.description or ""),
        ".PP",
        (
            "A topology file describes hosts, NATs, routers and middleboxes; \\fBnetlab up\\fR"
            " builds them from Linux network namespaces. \\fBnetlab\\-lab\\fR is a second"
            " name of the same program, for machines where another package has a"
            " command \\fBnetlab\\fR."
        ),
        ".SH COMMANDS",
    ]
    for name, command in COMMANDS.items():
        lines += [".TP", f".BR netlab\\-{name} (1)", _text(command.summary)]
    lines += [".SH EXIT STATUS", *_terms(EXIT_STATUS)]
    lines += [".SH FILES", *_terms(FILES)]
    lines += [".SH ENVIRONMENT", *_terms(ENVIRONMENT)]
    lines += _examples(parser)
    first = ", ".join(f"\\fBnetlab\\-{name}\\fR(1)" for name in ("up", "explain", "run", "doctor"))
    lines += [".SH SEE ALSO", f"{first}, \\fBip\\-netns\\fR(8), \\fBnft\\fR(8)"]
    return "\n".join(lines) + "\n"


def _command(name: str, parser: argparse.ArgumentParser) -> str:
    lines = [*_head(f"netlab-{name}", COMMANDS[name].summary), ".SH SYNOPSIS"]
    leaves = list(_leaves(f"netlab {name}", parser))
    for _, leaf in leaves:
        lines += [".nf", _text(_usage(leaf)), ".fi"]
    lines += [".SH DESCRIPTION", _text(parser.description or "")]
    for title, leaf in leaves:
        if leaf is not parser:
            lines += [f".SH {_quoted(title.upper())}", _text(leaf.description or "")]
            lines += [".SS Arguments and options", *_options(leaf)]
            lines += _examples(leaf, section=".SS Notes and examples")
        else:
            lines += [".SH OPTIONS", *_options(leaf)]
    lines += _examples(parser)
    lines += [".SH SEE ALSO", "\\fBnetlab\\fR(1)"]
    return "\n".join(lines) + "\n"


def _head(name: str, summary: str) -> list[str]:
    return [
        f'.TH {_quoted(name.upper())} 1 "" "netlab {__version__}" "netlab manual"',
        ".SH NAME",
        f"{_text(name)} \\- {_text(summary)}",
    ]


def _children(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to list them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from action.choices.items()


def _leaves(
    title: str, parser: argparse.ArgumentParser
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The commands that do something: the parser itself, or those below it."""
    below = list(_children(parser))
    if not below:
        yield title, parser
    for name, child in below:
        yield from _leaves(f"{title} {name}", child)


def _usage(parser: argparse.ArgumentParser) -> str:
    head = "usage: "
    usage = parser.format_usage().removeprefix(head).rstrip()
    return usage.replace("\n" + " " * len(head), "\n")


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    formatter = parser._get_formatter()  # noqa: SLF001
    for action in parser._actions:  # noqa: SLF001
        if action.help is argparse.SUPPRESS:
            continue
        yield ".TP"
        yield f".B {_text(formatter._format_action_invocation(action))}"  # noqa: SLF001
        yield _text(formatter._expand_help(action) if action.help else "")  # noqa: SLF001


def _examples(
    parser: argparse.ArgumentParser, section: str = ".SH NOTES AND EXAMPLES"
) -> list[str]:
    return [section, ".nf", _text(parser.epilog), ".fi"] if parser.epilog else []


def _terms(terms: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for term, meaning in terms:
        yield f".TP\n.B {_text(term)}\n{meaning}"


def _quoted(word: str) -> str:
    return f'"{_text(word)}"'


def _text(text: str) -> str:
    """Text that roff shows as it is."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti")
    escaped = escaped.replace("^", "\\(ha").replace("`", "\\(ga").replace("'", "\\(aq")
    return re.sub(r"^\.", r"\\&.", escaped, flags=re.MULTILINE)
