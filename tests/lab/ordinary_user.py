"""What an ordinary user does with a lab, one command per process; see test_rootless.py."""

import json
import os
import signal
import sys

from netlab.errors import NetlabError
from netlab.lab import build, enter, processes, record, remove, rootless
from netlab.plan.operations import CreateNamespace, CreateTun, StartProgram

from .plans import plan, star

NAME = "mine"


def up() -> object:
    a_plan = star(NAME, 2)
    program = StartProgram("h1", "nap", ("sleep", "60"))
    a_plan = a_plan._replace(operations=(*a_plan.operations, program))
    build.build(a_plan, build.claim(a_plan))
    return "up"


def up_and_die() -> object:
    a_plan = star(NAME, 2)

    def die(done: int, total: int) -> None:
        if done > total // 2:
            os.kill(os.getpid(), signal.SIGKILL)

    build.build(a_plan, build.claim(a_plan), die)
    return "unreachable"


def tun() -> object:
    a_plan = plan(NAME, CreateNamespace("a", "stack"), CreateTun("a", "tun0", 1500))
    build.build(a_plan, build.claim(a_plan))
    return "up"


def library() -> object:
    a_plan = star(NAME, 2)
    claim = build.claim(a_plan, library=True)
    build.build(a_plan, claim)
    second = star("second", 1)
    other = build.claim(second, library=True)
    build.build(second, other)
    ping = enter.spawn(claim.lab, "h0", ["ping", "-c1", "-W2", "10.0.1.2"], stdout=-3)
    answers = ping.wait(10)
    remove.remove(other)
    remove.remove(claim)
    return answers


def run(node: str, *argv: str) -> object:
    lab = record.find(NAME)
    rootless.join(lab)
    enter.execute(lab, node, argv, {})


def kill_keeper() -> object:
    keeper = processes.keeper(record.find(NAME))
    assert keeper
    os.kill(keeper, signal.SIGKILL)
    return "killed"


def down() -> object:
    return remove.down(NAME).stopped


def gc() -> object:
    return [left.kind for left in remove.gc()]


def namespaces() -> object:
    """Why labs cannot be built here, or nothing."""
    try:
        rootless.enter()
    except NetlabError as error:
        return [str(error)]
    return [""]


def status() -> object:
    state = record.state_directory()
    mine = processes.belonging(state)
    alive = [remove.is_alive(lab) for lab in record.labs()]
    return {"alive": alive, "processes": len(mine), "left": os.path.isdir(state)}  # noqa: PTH112


if __name__ == "__main__":
    try:
        print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
    except NetlabError as error:
        print(json.dumps([error.diagnostics[0].code, error.diagnostics[0].hint]))
