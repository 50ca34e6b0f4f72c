"""A plan as a shell script that builds the same lab by hand: to read, to teach, to compare.

Every value is quoted; none is ever expanded by the shell. Files such as /etc/hosts go where
``ip netns exec`` looks for them, ``/etc/netns/NAMESPACE``; others are laid over the machine's
when a program starts.
"""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from netlab.plan import operations as op
from netlab.plan.commands import command_line, commands, inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEAD = """\
#!/bin/sh
# Builds by hand the lab that `netlab up` builds from {topology!a}.
# Run it as root; with the argument `down` it removes the lab.
set -eu
"""

AWAIT = """\
# await SECONDS CONDITION: try it ten times a second
await() {
  tries=$(($1 * 10))
  until eval "$2"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "not ready: $2" >&2; exit 1; }
    sleep 0.1
  done
}
"""


def script(plan: op.Plan, python: Sequence[str] = ("python3",)) -> str:
    """The whole script, for a POSIX shell with iproute2, procps and nft.

    ``python`` are the words that start a Python which finds netlab.
    """
    lines = [HEAD.format(topology=plan.topology)]
    lines += _down(plan)
    if any(isinstance(o, op.StartProgram) for o in plan.operations):
        lines.append(AWAIT)
    node = None
    for operation in plan.operations:
        heading = "" if isinstance(operation, op.CreateVeth) else operation.node
        if heading != node:
            lines.append(f"\n# {heading or 'the wires'}")
            node = heading
        lines += _lines(plan, operation, python)
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
        '    rm -rf "/etc/netns/$ns" "/run/$ns.files" "/run/$ns.directories" "/run/$ns."*.log',
        "  done",
        "  exit",
        "fi",
    ]


def _lines(plan: op.Plan, operation: op.Operation, python: Sequence[str]) -> Iterator[str]:
    match operation:
        case op.LoadRules(node, text):
            yield from _here(shlex.join(inside(_namespace(plan, node), "nft", "-f", "-")), text)
        case op.MakeDirectory(node, path, is_copy):
            yield from _directory(_namespace(plan, node), path, is_copy=is_copy)
        case op.WriteFile(node, path, content):
            yield from _file(_namespace(plan, node), path, content)
        case op.StartProgram():
            yield from _program(plan, operation, python)
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
    target = _kept(namespace, path)
    yield shlex.join(["mkdir", "-p", str(target.parent)])
    yield from _here(f"cat >{shlex.quote(str(target))}", content)


def _directory(namespace: str, path: str, *, is_copy: bool) -> Iterator[str]:
    kept = _own(namespace, path)
    yield shlex.join(["mkdir", "-p", kept])
    if is_copy:
        yield shlex.join(["cp", "-a", f"{path}/.", kept])


def _own(namespace: str, path: str) -> str:
    """Where a directory of a node's own is kept; it has to be on the machine as well."""
    return f"/run/{namespace}.directories{path}"


def _kept(namespace: str, path: str) -> PurePosixPath:
    """Where a file waits: `ip netns exec` itself shows what lies in /etc/netns/NAMESPACE."""
    pure = PurePosixPath(path)
    if _is_shown_by_ip(path):
        return PurePosixPath("/etc/netns", namespace, *pure.parts[2:])
    return PurePosixPath(f"/run/{namespace}.files", *pure.parts[1:])


def _is_shown_by_ip(path: str) -> bool:
    return PurePosixPath(path).parts[:2] == ("/", "etc")


def _shown(plan: op.Plan, node: str) -> list[str]:
    """A command prefix that lays the node's other files over those of the machine."""
    tops = sorted(
        {
            PurePosixPath(o.path).parts[1]
            for o in plan.operations
            if isinstance(o, op.WriteFile) and o.node == node and not _is_shown_by_ip(o.path)
        }
    )
    own = [
        shlex.join(["mount", "--bind", _own(_namespace(plan, node), o.path), o.path])
        for o in plan.operations
        if isinstance(o, op.MakeDirectory) and o.node == node
    ]
    if not tops and not own:
        return []
    kept = f"/run/{_namespace(plan, node)}.files"
    # `ip netns exec` has given the command mounts of its own, so this shows nowhere else.
    overlays = [
        shlex.join(
            ["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={kept}/{t}:/{t}", f"/{t}"]
        )
        for t in tops
    ]
    return ["sh", "-c", " && ".join([*overlays, *own, 'exec "$@"']), "sh"]


def _program(plan: op.Plan, start: op.StartProgram, python: Sequence[str]) -> Iterator[str]:
    namespace = _namespace(plan, start.node)
    environment = [f"{key}={value}" for key, value in op.own_variables(start.environment).items()]
    argv = command_line(start, python)
    if environment:
        argv = ["env", *environment, *argv]
    command = shlex.join(inside(namespace, *_shown(plan, start.node), *argv))
    condition, _, detail = start.ready.partition(" ")
    if condition == "exit":
        # `|| test` keeps `set -e` from ending the script at an exit code that is expected.
        yield f"{command} || test $? -eq {shlex.quote(detail)}"
        return
    log = shlex.quote(f"/run/{namespace}.{start.program}.log")
    yield f"{command} >{log} 2>&1 </dev/null &"
    if condition == "port":
        protocol, port = detail.split()
        listing = shlex.join(inside(namespace, "ss", "-Hln", f"--{protocol}", f"sport = :{port}"))
        condition = f'test -n "$({listing})"'
        yield f"await {start.timeout:.0f} {shlex.quote(condition)}"
    elif condition == "log":
        condition = f"grep -qE {shlex.quote(detail)} {log}"
        yield f"await {start.timeout:.0f} {shlex.quote(condition)}"
