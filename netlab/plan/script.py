"""A plan as a shell script that builds the same lab by hand: to read, to teach, to compare.

Every value is quoted; none is ever expanded by the shell. Files such as /etc/hosts go where
``ip netns exec`` looks for them, ``/etc/netns/NAMESPACE``.
"""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from netlab.plan import operations as op
from netlab.plan.commands import commands, inside

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """\
#!/bin/sh
# Builds by hand the lab that `netlab up` builds from {topology!a}.
# Run it as root; with the argument `down` it removes the lab.
set -eu
"""


def script(plan: op.Plan) -> str:
    """The whole script, for a POSIX shell with iproute2, procps and nft."""
    lines = [HEAD.format(topology=plan.topology)]
    lines += _down(plan)
    node = None
    for operation in plan.operations:
        heading = "" if isinstance(operation, op.CreateVeth) else operation.node
        if heading != node:
            lines.append(f"\n# {heading or 'the wires'}")
            node = heading
        lines += _lines(plan, operation)
    return "\n".join(lines) + "\n"


def _namespace(plan: op.Plan, node: str) -> str:
    return f"{plan.name}.{node}"


def _down(plan: op.Plan) -> list[str]:
    namespaces = shlex.join(_namespace(plan, node.name) for node in plan.nodes)
    return [
        'if [ "${1-}" = down ]; then',
        f"  for ns in {namespaces}; do",
        '    ip netns pids "$ns" | xargs -r kill',
        '    ip netns del "$ns"',
        '    rm -rf "/etc/netns/$ns"',
        "  done",
        "  exit",
        "fi",
    ]


def _lines(plan: op.Plan, operation: op.Operation) -> Iterator[str]:
    match operation:
        case op.LoadRules(node, text):
            yield from _here(shlex.join(inside(_namespace(plan, node), "nft", "-f", "-")), text)
        case op.WriteFile(node, path, content):
            yield from _file(_namespace(plan, node), path, content)
        case op.StartProgram():
            yield from _program(_namespace(plan, operation.node), operation)
        case _:
            for argv in commands(operation, lambda node: _namespace(plan, node)):
                yield shlex.join(argv)


def _here(command: str, text: str) -> Iterator[str]:
    """A here-document whose end marker does not occur in the text."""
    marker = "END"
    while marker in text.split("\n"):
        marker += "_"
    yield f"{command} <<'{marker}'"
    yield text.rstrip("\n")
    yield marker


def _file(namespace: str, path: str, content: str) -> Iterator[str]:
    pure = PurePosixPath(path)
    if pure.parts[:2] != ("/", "etc") or len(pure.parts) < 3:
        yield f"# {path!a}: `ip netns exec` replaces files below /etc only"
        return
    target = PurePosixPath("/etc/netns", namespace, *pure.parts[2:])
    yield shlex.join(["mkdir", "-p", str(target.parent)])
    yield from _here(f"cat >{shlex.quote(str(target))}", content)


def _program(namespace: str, start: op.StartProgram) -> Iterator[str]:
    environment = [f"{key}={value}" for key, value in start.environment]
    argv = ["env", *environment, *start.argv] if environment else start.argv
    command = shlex.join(inside(namespace, *argv))
    condition, _, detail = start.ready.partition(" ")
    if condition == "exit":
        # `|| test` keeps `set -e` from ending the script at an exit code that is expected.
        yield f"{command} || test $? -eq {shlex.quote(detail)}"
        return
    log = shlex.quote(f"/tmp/{namespace}.{start.program}.log")  # noqa: S108 - the reader's own
    yield f"{command} >{log} 2>&1 </dev/null &"
    if condition == "port":
        protocol, port = detail.split()
        listing = shlex.join(inside(namespace, "ss", "-Hln", f"--{protocol}", f"sport = :{port}"))
        yield f'until [ -n "$({listing})" ]; do sleep 0.1; done'
    elif condition == "log":
        yield f"until grep -qE {shlex.quote(detail)} {log}; do sleep 0.1; done"
