"""The one nftables table of a node, put together rule by rule.

Every rule carries a counter and a comment ``LABEL FILE:LINE``, so that whoever finds a drop is led
back to the topology.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from netlab.errors import Position

COMMENT_BYTES = 128
"""NFTNL_UDATA_COMMENT_MAXLEN: nft refuses a longer comment."""


class Chain(NamedTuple):
    """Where a chain is hooked in; ``priority`` as nft writes it."""

    kind: str
    hook: str
    priority: str


CHAINS = {
    "prerouting": Chain("nat", "prerouting", "dstnat"),
    "postrouting": Chain("nat", "postrouting", "srcnat"),
    "input": Chain("filter", "input", "filter"),
    "forward": Chain("filter", "forward", "filter"),
    "output": Chain("filter", "output", "filter"),
    "record": Chain("filter", "postrouting", "srcnat + 50"),
}
"""``record`` comes after the source NAT: there conntrack knows what a flow was mapped to."""


class Chains:
    """Rules collected by chain, in the order in which they were added."""

    def __init__(self) -> None:
        self._declarations: list[str] = []
        self._chains: dict[str, Chain] = {}
        self._rules: dict[str, list[str]] = {}
        self._policies: dict[str, str] = {}

    def declare(self, statement: str) -> None:
        """Add a set, map or other named object; naming one twice is naming it once."""
        if statement not in self._declarations:
            self._declarations.append(statement)

    def add(self, chain: str, statement: str, label: str, origin: Position | None) -> None:
        """Add a rule to one of ``CHAINS``, or to a chain made known by ``hook_in``."""
        rule = f'{statement} comment "{comment(label, origin)}"'
        self._rules.setdefault(chain, []).append(rule)

    def hook_in(self, hook: str, priority: int) -> str:
        """The name of a filter chain of its own at ``priority`` of ``hook``."""
        name = f"{hook}_{'m' if priority < 0 else ''}{abs(priority)}"
        self._chains[name] = Chain("filter", hook, str(priority))
        return name

    def policy(self, chain: str, verdict: str) -> None:
        """The verdict for a packet that no rule of the chain decided."""
        self._rules.setdefault(chain, [])
        self._policies[chain] = verdict

    def text(self) -> str:
        """The whole table; empty if there is nothing in it."""
        if not self._rules:
            return ""
        lines = ["table inet netlab {"]
        lines += [f"\t{declaration}" for declaration in self._declarations]
        for name, chain in (CHAINS | self._chains).items():
            if name not in self._rules:
                continue
            policy = self._policies.get(name, "accept")
            lines.append(f"\tchain {name} {{")
            lines.append(
                f"\t\ttype {chain.kind} hook {chain.hook} priority {chain.priority};"
                f" policy {policy};"
            )
            lines += [f"\t\t{rule}" for rule in self._rules[name]]
            lines.append("\t}")
        lines.append("}\n")
        return "\n".join(lines)


def comment(label: str, origin: Position | None) -> str:
    """What a rule says of itself, within nft's limit; quotes cannot be escaped in nft text."""
    where = place(origin).replace('"', "'")
    suffix = f" {where}" if where else ""
    room = COMMENT_BYTES - 1 - len(suffix.encode())
    label = " ".join(label.replace('"', "'").split())
    return label.encode()[: max(room, 0)].decode(errors="ignore") + suffix


def place(origin: Position | None) -> str:
    """``file:line``, the file without its directory; empty if there is no origin."""
    return f"{PurePath(origin.file).name}:{origin.line}" if origin else ""
