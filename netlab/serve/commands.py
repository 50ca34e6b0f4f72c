"""PURE: what the forms of the page mean: each becomes the command line that does the same."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PROTOCOLS = ("icmp", "tcp", "udp", "hdp")
HOOKS = ("input", "forward", "output")
TABLE = "classroom"
"""The nft table of rules that are added by hand."""

LONGEST = 2000
"""Characters of a field."""


class Refused(ValueError):
    """A form that says nothing that could be done."""


class Deed(NamedTuple):
    """What a form does: the words behind ``netlab``, and the kind of thing that it changes."""

    argv: tuple[str, ...]
    changes: str = ""

    @property
    def typed(self) -> str:
        """What a user types to do the same."""
        return "netlab " + shlex.join(self.argv)


def deed(form: Mapping[str, Any], lab: str, nodes: Collection[str]) -> Deed:
    """The deed of a form.

    Raises:
        Refused: in words for who filled it in.
    """
    makers = {
        "send": _send, "ping": _ping, "run": _run, "set": _set, "link": _link, "rule": _rule,
        "pingall": _pingall,
    }  # fmt: skip
    make = makers.get(_text(form, "do"))
    if make is None:
        raise Refused("this form is not known")
    return make(form, lab, nodes)


def _text(form: Mapping[str, Any], key: str, default: str = "") -> str:
    value = form.get(key, default)
    if not isinstance(value, str) or len(value) > LONGEST or "\0" in value:
        raise Refused(f"{key}: a text of at most {LONGEST} characters")
    return value.strip()


def _node(form: Mapping[str, Any], key: str, nodes: Collection[str]) -> str:
    name = _text(form, key)
    if name not in nodes:
        raise Refused(f"{key}: this lab has no node {name!r}")
    return name


def _number(form: Mapping[str, Any], key: str, least: int, most: int) -> str:
    text = _text(form, key)
    if text and (not text.isdecimal() or not least <= int(text) <= most):
        raise Refused(f"{key}: a number between {least} and {most}")
    return text


def _place(form: Mapping[str, Any], key: str) -> str:
    """A node or an address; nothing that a command would take for an option."""
    text = _text(form, key)
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z_.:-]*|::[0-9A-Fa-f:.]*", text):
        raise Refused(f"{key}: a node or an address")
    return text


def _send(form: Mapping[str, Any], lab: str, nodes: Collection[str]) -> Deed:
    protocol = _text(form, "proto", "udp")
    if protocol not in PROTOCOLS and not (protocol.isdecimal() and 0 < int(protocol) < 256):
        raise Refused("proto: icmp, tcp, udp, hdp, or a number from 1 to 255")
    argv = ["explain", f"{lab}/{_node(form, 'from', nodes)}", _place(form, "to")]
    argv += ["--proto", protocol]
    for key, option, least, most in (
        ("port", "--dport", 1, 65535), ("size", "--size", 8, 65000), ("count", "--count", 1, 1000),
    ):  # fmt: skip
        value = _number(form, key, least, most)
        argv += [option, value] if value else []
    argv += ["--listen"] if form.get("listen") is True else []
    argv += ["-6"] if form.get("six") is True else []
    return Deed(tuple(argv))


def _ping(form: Mapping[str, Any], lab: str, nodes: Collection[str]) -> Deed:
    node, to = _node(form, "from", nodes), _place(form, "to")
    return Deed(("exec", f"{lab}/{node}", "--", "ping", "-c", "3", "-i", "0.2", "-W", "1", to))


def _pingall(form: Mapping[str, Any], lab: str, nodes: Collection[str]) -> Deed:  # noqa: ARG001
    return Deed(("pingall", lab))


def _run(form: Mapping[str, Any], lab: str, nodes: Collection[str]) -> Deed:
    try:
        words = shlex.split(_text(form, "command"))
    except ValueError as error:
        raise Refused(f"command: {error}") from None
    if not words:
        raise Refused("command: what is to be run?")
    return Deed(("exec", f"{lab}/{_node(form, 'node', nodes)}", "--", *words))


def _set(form: Mapping[str, Any], lab: str, nodes: Collection[str]) -> Deed:
    path, key, value = (_text(form, name) for name in ("path", "key", "value"))
    if path.partition(".")[0] not in nodes or not re.fullmatch(r"[\w.-]+", path):
        raise Refused("where: a node and a key, such as nat.nat")
    if not re.fullmatch(r"[\w.-]+", key) or key.startswith("-"):
        raise Refused("key: a key of the topology file, such as filtering")
    return Deed(("set", f"{lab}/{path}", f"{key}={value}"), "set")


def _link(form: Mapping[str, Any], lab: str, nodes: Collection[str]) -> Deed:
    place = _text(form, "end")
    node, _, interface = place.partition(":")
    if node not in nodes or not interface:
        raise Refused("end: an end of a link, such as client:eth0")
    words = _text(form, "values").split()
    if not words or any(not re.fullmatch(r"up|down|[a-z.]+=[\w.%]+", word) for word in words):
        raise Refused("values: up, down, or values such as loss=5% delay=50ms")
    return Deed(("link", f"{lab}/{place}", *words), "link")


def _rule(form: Mapping[str, Any], lab: str, nodes: Collection[str]) -> Deed:
    node, hook, rule = _node(form, "node", nodes), _text(form, "hook"), _text(form, "rule")
    if hook not in HOOKS:
        raise Refused(f"hook: {', '.join(HOOKS)}")
    if not rule or any(c in rule for c in ";{}\n"):
        raise Refused("rule: one rule in nft's language, such as tcp dport 80 drop")
    script = (
        f"add table inet {TABLE}; "
        f"add chain inet {TABLE} {hook} {{ type filter hook {hook} priority 10; }}; "
        f"add rule inet {TABLE} {hook} {rule}"
    )
    return Deed(("exec", f"{lab}/{node}", "--", "nft", "-e", "-a", script), "rule")


def undoing_rule(deed: Deed, printed: str) -> Deed | None:
    """What takes a rule away again, by the handle that nft printed when it was added."""
    found = re.findall(r"# handle (\d+)", printed)
    hook = re.search(rf"add rule inet {TABLE} (\w+)", deed.argv[-1])
    if deed.changes != "rule" or not found or not hook:
        return None
    delete = f"delete rule inet {TABLE} {hook[1]} handle {found[-1]}"
    return Deed((*deed.argv[:3], "nft", delete))


def undoing_switch(deed: Deed) -> Deed | None:
    """What brings a link up again that was taken down, and the other way round."""
    other = {"up": "down", "down": "up"}.get(deed.argv[-1])
    if deed.changes != "link" or len(deed.argv) != 3 or other is None:
        return None
    return Deed((*deed.argv[:2], other), "link")
