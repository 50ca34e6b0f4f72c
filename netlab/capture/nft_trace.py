"""Every rule that a packet meets: nft's own trace, read from netlink.

A table of our own marks each packet before it meets the first rule of a node (``meta nftrace set
1``). Each mark is a message, and a message costs a packet two microseconds, so a packet that will
meet no chain is not marked: see ``marks``. The table is *owned* by our netlink socket (``flags
owner``), so the kernel removes it when we end, even if we are killed.

Messages: include/uapi/linux/netfilter/nf_tables.h, NFT_MSG_TRACE: one to a dozen for a packet.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import struct
import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from netlab.capture.collector import RECORDS
from netlab.capture.evidence import Gap, RuleVerdict
from netlab.linux import netlink
from netlab.nft import listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from netlab.capture.collector import RunInNetns

NFNLGRP_NFTRACE = 9
BUFFER = 1 << 25
"""Octets of a node's socket buffer: a message costs the kernel about 1 KB."""

TABLE = "netlab_observe"
"""The name of our table in the evidence; in the kernel each observer has one of its own."""

_TRACE = 10 << 8 | 17
(
    _TABLE, _CHAIN, _HANDLE, _TYPE, _VERDICT, _ID, _LINK, _NETWORK, _TRANSPORT,
) = range(1, 10)  # fmt: skip
_POLICY = 16
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_KINDS: dict[int, Literal["policy", "return", "rule"]] = {1: "policy", 2: "return", 3: "rule"}
_VERDICTS = {
    0: "drop", 1: "accept", 2: "stolen", 3: "queue", 4: "repeat",
    -1: "continue", -2: "break", -3: "jump", -4: "goto", -5: "return",
}  # fmt: skip

_observers = itertools.count()

RELIST = 0.5
"""Seconds between two listings of a node's rules."""


class NftTrace:
    """The steps of every packet in every node that has rules."""

    def __init__(self, nodes: Sequence[str], inside: RunInNetns) -> None:
        self.gaps: list[Gap] = []
        self._inside = inside
        self._nodes = nodes
        self._name = f"{TABLE}_{os.getpid()}_{next(_observers)}"
        self._traced: list[_Traced] = []

    def start(self) -> None:
        """Switch tracing on wherever there are rules.

        Raises:
            OSError: the kernel does not let this user trace.
        """
        for node in self._nodes:
            try:
                traced = self._inside(node, lambda n=node: _Traced.begin(n, self._name))  # type: ignore[misc]
            except ImportError as error:
                raise OSError(errno.ENOSYS, f"no libnftables: {error}") from None
            if traced:
                self._traced.append(traced)

    def buffers(self) -> Iterable[tuple[int, Callable[[], None]]]:
        """One for each node with rules."""
        return [(traced.fileno(), traced.drain) for traced in self._traced]

    def stop(self) -> None:
        """Switch tracing off and take the last messages."""
        for traced in self._traced:
            traced.finish()
            if traced.overrun or traced.refused:
                text = "steps came faster than they could be read"
                self.gaps.append(Gap("nft", text, traced.node))

    def verdicts(self) -> list[RuleVerdict]:
        """All steps that were not taken, node by node, each in order."""
        return [verdict for traced in self._traced for verdict in traced.verdicts(traced.datagrams)]

    def take(self) -> Callable[[], list[RuleVerdict]]:
        """The steps since the last time; they are forgotten here, and read by the result."""
        taken = [(traced, traced.take()) for traced in self._traced if traced.datagrams]
        return lambda: [v for traced, datagrams in taken for v in traced.verdicts(datagrams)]

    def discard(self) -> None:
        """Forget what was copied and not yet taken."""
        for traced in self._traced:
            traced.take()


class _Traced:
    """One node that is traced; made inside its namespace."""

    def __init__(self, node: str, context: Any, name: str, ruleset: listing.Ruleset) -> None:
        self.node = node
        self.overrun = False
        self.refused = 0
        self._context = context
        self._name = name
        self._ruleset = ruleset
        self._listed = time.monotonic()
        self.datagrams: list[bytes] = []
        self._socket = netlink.open_socket(
            netlink.NETLINK_NETFILTER, groups=(NFNLGRP_NFTRACE,), buffer=BUFFER
        )
        self._socket.setblocking(False)

    @classmethod
    def begin(cls, node: str, name: str) -> _Traced | None:
        """Trace this node, unless it has no rules."""
        import nftables

        context = nftables.Nftables()
        context.set_handle_output(True)
        context.set_stateless_output(True)
        context.set_numeric_proto_output(True)  # names depend on /etc/protocols
        ruleset = _listing(context)
        if not ruleset.rules and not ruleset.bases:
            return None
        traced = cls(node, context, name, ruleset)
        chains = marks(ruleset.bases)
        code, _, text = context.cmd(_table(name, chains, owned=True))
        if code:  # a kernel before 5.12 knows no owner; then it is removed by us alone
            code, _, text = context.cmd(_table(name, chains, owned=False))
        if code:
            traced.close()
            raise OSError(errno.EPERM, " ".join(str(text).split()))
        return traced

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> None:
        """Copy what has arrived."""
        receive, keep = self._socket.recv, self.datagrams.append
        room = RECORDS - len(self.datagrams)
        while True:
            try:
                datagram = receive(4096)
                if room > 0:
                    keep(datagram)
                else:
                    self.refused += 1
                room -= 1
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.overrun = True

    def take(self) -> list[bytes]:
        taken, self.datagrams = self.datagrams, []
        return taken

    def finish(self) -> None:
        self._context.cmd(f"delete table inet {self._name}")
        self.drain()
        self._list_again()
        self.close()

    def _list_again(self) -> None:
        later = _listing(self._context)
        self._listed = time.monotonic()
        # Rules may have been replaced meanwhile: the old ones decided as well as the new.
        before = self._ruleset
        self._ruleset = listing.Ruleset(
            {**later.rules, **before.rules},
            {**later.bases, **before.bases},
            {**later.comments, **before.comments},
        )

    def close(self) -> None:
        self._socket.close()
        self._context = None  # its netlink socket owns the table

    def verdicts(self, datagrams: Iterable[bytes]) -> Iterator[RuleVerdict]:
        """Read messages; those of other observers' tables are left out."""
        name = self._name
        for datagram in datagrams:
            for kind, _, payload in netlink.messages(datagram):
                if kind != _TRACE:
                    continue
                verdict = self._verdict(payload)
                if verdict.table == name:
                    yield verdict._replace(table=TABLE)
                elif not verdict.table.startswith(TABLE):
                    yield verdict

    def _verdict(self, payload: bytes) -> RuleVerdict:
        # nfgenmsg comes first: family, version, resource id.
        found = dict(netlink.attributes(payload, 4))
        family = _FAMILIES.get(payload[0], str(payload[0]))
        table, chain = _text(found.get(_TABLE)), _text(found.get(_CHAIN))
        kind = _KINDS.get(_number(found.get(_TYPE)), "rule")
        key = (family, table, chain, _number(found.get(_HANDLE)))
        if self._is_unknown(kind, key):
            self._list_again()
        rule = self._ruleset.rules.get(key)
        base = self._ruleset.bases.get((family, table, chain))
        hook = chain if table == self._name else base.hook if base else ""
        comment = rule.comment if rule else ""
        if kind == "policy":
            verdict = _VERDICTS.get(_number(found.get(_POLICY)), "")
            comment = self._ruleset.comments.get((family, table, chain), "")
        else:
            verdict = _decision(found.get(_VERDICT, b""))
        return RuleVerdict(
            self.node,
            _number(found.get(_ID)),
            family,
            table,
            chain,
            hook,
            kind,
            verdict,
            rule.text if rule else "",
            comment,
            found.get(_NETWORK, b"") + found.get(_TRANSPORT, b""),
        )

    def _is_unknown(self, kind: str, key: tuple[str, str, str, int]) -> bool:
        """Whether a rule was made since the last listing: then it is time for another one."""
        return (
            kind == "rule"
            and self._context is not None
            and key not in self._ruleset.rules
            and not key[1].startswith(TABLE)
            and time.monotonic() > self._listed + RELIST
        )


class Mark(NamedTuple):
    """A chain of ours: its place, and the rules in it."""

    hook: str
    priority: int
    rules: tuple[str, ...]


# To accept at once ends this chain with one message instead of three.
_MARKS = "meta nftrace set 1 accept"
_BEGINS = "ct status & confirmed == 0"

BEFORE_ALL, AFTER_CONNTRACK = -500, -199


def marks(bases: Mapping[tuple[str, str, str], listing.Base]) -> list[Mark]:
    """Where packets have to be marked in a node with these base chains.

    Chains of type nat see only the first packet of a flow, whose entry is not confirmed yet; those
    at input only what stays here. Where there are others, every packet is marked as it comes in.
    A packet that was marked is not marked again: a mark is where its passage begins.
    """
    ours = [base for (family, _, _), base in bases.items() if family in ("ip", "ip6", "inet")]
    hooks = {base.hook for base in ours if base.kind != "nat"}
    translates = any(base.kind == "nat" for base in ours)
    begins = Mark("", AFTER_CONNTRACK, (f"{_BEGINS} {_MARKS}",))
    found = []
    if hooks & {"prerouting", "forward", "postrouting"}:
        found.append(Mark("prerouting", BEFORE_ALL, (_MARKS,)))
    else:
        if translates:
            found.append(begins._replace(hook="prerouting"))
        if "input" in hooks:
            known = (f"{_BEGINS} return",) if translates else ()
            found.append(Mark("input", BEFORE_ALL, (*known, _MARKS)))
    if hooks & {"output", "postrouting"}:
        found.append(Mark("output", BEFORE_ALL, (_MARKS,)))
    elif translates:
        found.append(begins._replace(hook="output"))
    return found


def _table(name: str, chains: Sequence[Mark], *, owned: bool) -> str:
    flags = "flags owner\n" if owned else ""
    lines = [
        line
        for hook, priority, said in chains
        for line in (f"chain {hook} {{ type filter hook {hook} priority {priority}", *said, "}")
    ]
    text = "\n".join(lines)
    return f"table inet {name} {{\n{flags}{text}\n}}\n"


def _listing(context: Any) -> listing.Ruleset:
    code, text, _ = context.cmd("list ruleset")
    return listing.parse("" if code else str(text))


def _decision(nested: bytes) -> str:
    parts = dict(netlink.attributes(nested))
    with contextlib.suppress(struct.error):
        (code,) = struct.unpack("!i", parts.get(1, b""))
        verdict = _VERDICTS.get(code, str(code))
        return f"{verdict} {_text(parts[2])}" if 2 in parts else verdict
    return ""


def _number(value: bytes | None) -> int:
    return int.from_bytes(value, "big") if value else 0


def _text(value: bytes | None) -> str:
    return value.rstrip(b"\0").decode(errors="replace") if value else ""
