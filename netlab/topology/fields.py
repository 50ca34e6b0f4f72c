"""The values of a topology file: how each kind is read, and what is said when it is wrong.

pydantic calls these; a problem is raised as PydanticCustomError whose type is the diagnostic's
code, so that a message reaches the user in the words written here.
"""

from __future__ import annotations

import re
import shlex
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from netlab.topology import names
from netlab.topology.source import Plain, describe_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

    from netlab.topology.model import Address as IpAddress
    from netlab.topology.model import Network


KERNEL_ROOTS = frozenset({"proc", "sys", "dev"})
TOPS = frozenset(
    "bin boot etc home lib lib64 media mnt opt root run sbin srv tmp usr var".split()  # noqa: SIM905
)
"""Directories that a machine has (FHS 3.0 section 3); below them a file can be shown."""
DIRECTORIES = frozenset(
    """
    /etc/default /etc/init.d /etc/opt /etc/ssh /etc/ssl /usr/bin /usr/include /usr/lib /usr/lib64
    /usr/local /usr/local/bin /usr/local/etc /usr/local/lib /usr/local/sbin /usr/local/share
    /usr/sbin /usr/share /usr/src /var/cache /var/lib /var/local /var/lock /var/log /var/mail
    /var/opt /var/run /var/spool /var/tmp /run/lock
    """.split()  # noqa: SIM905
)
"""Directories of every machine (FHS 3.0 chapters 3 to 5)."""


def wrong(code: str, message: str, hint: str = "", offset: int = 0) -> PydanticCustomError:
    """An error for pydantic that becomes the diagnostic ``code``."""
    return PydanticCustomError(
        code,
        "{message}",
        {"message": message, "hint": hint, "offset": offset},
    )


def _text(value: object) -> object:
    """Text; a plain number is taken as it is written, a trap is not."""
    if isinstance(value, Plain):
        if value.trap or isinstance(value.value, bool):
            raise wrong(
                "E111",
                f"expected a string, got {describe_value(value)}",
                f'quote it: "{value}"',
            )
        if value.value is None:
            raise wrong("E202", "expected a string, got nothing", 'an empty string is ""')
        return str(value)
    if isinstance(value, str) and "\0" in value:
        raise wrong("E202", "text cannot hold a NUL character")
    return value


def _plain_text(value: object) -> object:
    """As _text, for values that do not end as ``str`` and so get no type check by pydantic."""
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "expected a string")
    return _text(value)


def _word(value: object) -> object:
    """Text that must be recognisable as text: names."""
    if isinstance(value, Plain) and value:
        raise wrong(
            "E111",
            f"expected a name, got {describe_value(value)}",
            f'quote it: "{value}"',
        )
    return "" if isinstance(value, Plain) else value


def _number(value: object) -> object:
    return value.value if isinstance(value, Plain) and not value.trap else value


def _node_name(value: object) -> object:
    word = _word(value)
    if isinstance(word, str) and (problem := names.node_problem(word)):
        raise wrong("E221", f"name `{names.show(word)}` {problem}", names.NODE_HINT)
    return word


def _label(value: object) -> object:
    word = _word(value)
    if isinstance(word, str) and (problem := names.label_problem(word)):
        raise wrong("E221", f"name `{names.show(word)}` {problem}", names.NODE_HINT)
    return word


def _end(value: object) -> object:
    """``node:interface``; the interface may be left to netlab."""
    word = _word(value)
    if not isinstance(word, str):
        return word
    node, colon, interface = word.partition(":")
    # Whether a node may have this name is checked at the node.
    if problem := names.label_problem(node):
        raise wrong("E221", f"name `{names.show(node)}` {problem}", names.NODE_HINT)
    if colon and (problem := names.interface_problem(interface)):
        raise wrong(
            "E222",
            f"interface name `{names.show(interface)}` {problem}",
            names.INTERFACE_HINT,
            len(node) + 1,
        )
    return word


def _address(value: object) -> object:
    if not isinstance(value, str) or (isinstance(value, Plain) and value.trap):
        return _plain_text(value)
    if "%" in value:
        raise wrong(
            "E241", f"`{names.show(value)}` has a scope", f"write {value.partition('%')[0]}"
        )
    try:
        return ip_address(value)
    except ValueError:
        hint = "without a prefix length" if "/" in value else "such as 10.0.0.2 or 2001:db8::2"
        raise wrong("E241", f"`{names.show(value)}` is not an IP address", hint) from None


def _end_address(value: object) -> object:
    """An address of one end, with or without its prefix length; ``None`` for `none`."""
    if not isinstance(value, str) or "/" not in value or "%" in value:
        return _address(value)
    try:
        found = ip_interface(value)
    except ValueError:
        hint = "such as 10.0.0.2/24 or 2001:db8::2/64"
        raise wrong("E241", f"`{names.show(value)}` is not an IP address", hint) from None
    if not value.rpartition("/")[2].isdigit():
        hint = f"write {found}"
        raise wrong("E241", f"`{names.show(value)}` has a mask, not a prefix length", hint)
    if problem := usable(found.network):
        raise wrong("E241", f"the subnet of {found} {problem}", "such as 10.0.0.2/24")
    return found


def none_or(read: Callable[[object], object]) -> Callable[[object], object]:
    """A reader for which the word `none` means that there is nothing."""

    def either(value: object) -> object:
        return None if isinstance(value, str) and value == "none" else read(value)

    return either


def _mac(value: object) -> object:
    """Six octets in hex; YAML 1.1 would read some of them as a number in base 60."""
    text = str(value) if isinstance(value, str) else ""
    if not re.fullmatch(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", text):
        raise wrong(
            "E241", f"`{names.show(str(value))}` is not a MAC address", "such as 02:00:00:00:00:01"
        )
    if int(text[:2], 16) & 1 or not int(text.replace(":", ""), 16):
        raise wrong("E241", f"{text} is not an address of one station", "the first octet is even")
    return text.lower()


def _destination(value: object) -> object:
    if not isinstance(value, str) or (isinstance(value, Plain) and value.trap):
        return _plain_text(value)
    return value if value == "default" else network(value)


def network(value: str) -> Network:
    """A subnet that a wire or a route may have; PydanticCustomError otherwise."""
    shown = names.show(value)
    if "%" in value:
        hint = f"write {re.sub('%[^/]*', '', value)}"
        raise wrong("E241", f"`{shown}` has a scope, which only addresses in use have", hint)
    try:
        found = ip_network(value)
    except ValueError:
        try:
            meant = ip_network(value, strict=False)
        except ValueError:
            hint = "such as 10.0.0.0/24 or 2001:db8::/64"
            raise wrong("E241", f"`{shown}` is not a subnet", hint) from None
        raise wrong(
            "E241", f"`{shown}` has bits set after its prefix", f"the subnet is {meant}"
        ) from None
    if "/" not in value:
        raise wrong("E241", f"`{shown}` has no prefix length", f"such as {value}/24")
    if "/" in value and not value.rpartition("/")[2].isdigit():
        raise wrong("E241", f"`{shown}` has a mask, not a prefix length", f"write {found}")
    return found


def usable(found: Network) -> str:
    """Why a link cannot have this subnet; empty if it can."""
    if found.is_loopback or found.network_address.is_loopback:
        return "is a loopback network"
    if found.is_multicast:
        return "is multicast"
    if found.version == 6 and found.is_link_local:
        return "is link-local, which every interface has by itself"
    if found.prefixlen == 0 or (found.version == 4 and int(found.network_address) >> 24 == 0):
        return "cannot be a link's subnet"
    if found.version == 4 and int(found.network_address) >> 28 == 15:
        return "is reserved (RFC 1112 section 4)"
    return ""


def _subnet(value: object) -> object:
    found = _destination(value)
    if found == "default":
        raise wrong("E241", "`default` is not a subnet", "such as 10.0.0.0/24")
    if isinstance(found, (IPv4Network, IPv6Network)):
        problem = usable(found)
        if problem:
            raise wrong("E241", f"subnet {found} {problem}", "such as 10.0.0.0/24")
    return found


def listed(value: object) -> object:
    """A single value where a list is allowed is a list of one."""
    if isinstance(value, Plain) and value.value is None and not value.trap:
        return []
    return value if isinstance(value, list) else [value]


def plain_value(value: object) -> object:
    """A number or text whose meaning is judged later; a list item by item."""
    if isinstance(value, list):
        return [plain_value(v) for v in value]
    if isinstance(value, Plain):
        return str(value) if value.trap else value.value
    return value


def port_range(value: object) -> object:
    """``4000-4001`` as a pair."""
    low, dash, high = str(value).partition("-")
    if not (dash and low.isascii() and low.isdigit() and high.isascii() and high.isdigit()):
        raise wrong("E205", f"`{names.show(str(value))}` is not a port range", "such as 4000-4999")
    return int(low[:6]), int(high[:6])


def nothing_is_empty(value: object) -> object:
    """``client:`` with nothing after it is ``client: {}``."""
    if isinstance(value, Plain) and value.value is None and not value.trap:
        return {}
    return value


def environment(value: object) -> object:
    """Variables; those that ``inherit`` lists come from who starts the lab."""
    value = nothing_is_empty(value)
    if not isinstance(value, dict) or "inherit" not in value:
        return value
    listed_names = value["inherit"]
    names_ = listed_names if isinstance(listed_names, list) else [listed_names]
    words = [_environment_name(name) for name in names_]
    if not all(isinstance(word, str) for word in words):
        raise wrong("E202", "expected names of variables in `inherit`", "inherit: [SSH_AUTH_SOCK]")
    return {**value, "inherit": " ".join(map(str, words))}


def _argv(value: object) -> object:
    """A command: a list of words, or one line split as a shell would, without a shell."""
    if isinstance(value, str) and not isinstance(value, Plain):
        try:
            return shlex.split(value)
        except ValueError as error:
            raise wrong("E202", f"the command cannot be split: {error}", "use a list") from None
    return value


def _environment_name(value: object) -> object:
    word = _word(value)
    if isinstance(word, str) and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", word):
        raise wrong("E206", f"`{names.show(word)}` is not a variable name", "such as LANG")
    return word


def _sysctl(value: object) -> object:
    word = _word(value)
    if not isinstance(word, str):
        return word
    if not re.fullmatch(r"[a-z0-9_]+(\.[A-Za-z0-9_-]+)+", word):
        raise wrong("E206", f"`{names.show(word)}` is not a sysctl", "such as net.ipv4.ip_forward")
    if not word.startswith("net."):
        raise wrong(
            "E206",
            f"sysctl `{names.show(word)}` belongs to the whole machine",
            "only names that begin with `net.` are a node's own",
        )
    return word


def _file_path(value: object, *, is_directory: bool = False) -> object:
    word = _word(value)
    if isinstance(word, str) and (
        not re.fullmatch(r"(/[^/\x00-\x1f\x7f]+)+", word)
        or any(part in (".", "..") for part in word.split("/"))
    ):
        raise wrong("E206", f"`{names.show(word)}` is not an absolute path", "such as /etc/motd")
    if isinstance(word, str):
        root, _, rest = word[1:].partition("/")
        hint = "choose a file below /etc, /srv, /opt, /usr or /var"
        if root in KERNEL_ROOTS:
            what = "lies where the kernel's own files are"
            hint = "kernel settings go under `sysctls`" if root == "proc" else hint
            raise wrong("E206", f"`{names.show(word)}` {what}", hint)
        if not rest or (word in DIRECTORIES and not is_directory):
            raise wrong("E206", f"`{names.show(word)}` is a directory on every machine", hint)
        if root not in TOPS:
            raise wrong("E206", f"no machine has a directory `/{names.show(root)}`", hint)
    return word


def _directory_path(value: object) -> object:
    return _file_path(value, is_directory=True)


def _regex(value: object) -> object:
    text = _text(value)
    if isinstance(text, str):
        try:
            re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise wrong("E206", f"not a regular expression: {error}") from None
    return text


def _port(value: object) -> object:
    """``80`` or ``udp/53`` as a pair."""
    if isinstance(value, Plain) and isinstance(value.value, int) and value.value is not True:
        return _checked_port("tcp", str(value))
    text = _text(value)
    if not isinstance(text, str):
        return text
    protocol, slash, number = text.partition("/")
    if not slash:
        protocol, number = "tcp", text
    return _checked_port(protocol, number)


def _checked_port(protocol: str, number: str) -> tuple[str, int]:
    good = number.isascii() and number.isdigit() and len(number) < 6
    if protocol not in ("tcp", "udp") or not good or not 0 < int(number) < 65536:
        shown = names.show(f"{protocol}/{number}")
        raise wrong("E205", f"`{shown}` is not a port", "80, tcp/80 or udp/53; 1 to 65535")
    return protocol, int(number)


_STRING: dict[str, Any] = {"type": "string"}
_SCALAR: dict[str, Any] = {"type": ["string", "number"]}

Text = Annotated[str, BeforeValidator(_text), WithJsonSchema(_SCALAR)]
Word = Annotated[str, BeforeValidator(_word), WithJsonSchema(_STRING)]
Integer = Annotated[int, BeforeValidator(_number)]
Boolean = Annotated[bool, BeforeValidator(_number)]
Number = Annotated[float, BeforeValidator(_number)]
NodeName = Annotated[
    str,
    BeforeValidator(_node_name),
    WithJsonSchema({**_STRING, "pattern": names.RANGE_PATTERN, "maxLength": names.MAX_NODE}),
]
Label = Annotated[
    str,
    BeforeValidator(_label),
    WithJsonSchema({**_STRING, "pattern": names.SAFE_PATTERN, "maxLength": names.MAX_NODE}),
]
EndText = Annotated[
    str,
    BeforeValidator(_end),
    WithJsonSchema(
        {**_STRING, "description": "`node:interface`; without `:interface` netlab names it"}
    ),
]
Address = Annotated[Any, BeforeValidator(_address), WithJsonSchema(_STRING)]
EndAddress = Annotated[Any, BeforeValidator(_end_address), WithJsonSchema(_STRING)]
Mac = Annotated[
    Any,
    BeforeValidator(_mac),
    # An editor may read it as a number in base 60, as YAML 1.1 does.
    WithJsonSchema(
        {"type": ["string", "integer"], "pattern": "^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$"}
    ),
]
Destination = Annotated[Any, BeforeValidator(_destination), WithJsonSchema(_STRING)]
Subnet = Annotated[Any, BeforeValidator(_subnet), WithJsonSchema(_STRING)]
EnvironmentName = Annotated[str, BeforeValidator(_environment_name), WithJsonSchema(_STRING)]
SysctlName = Annotated[
    str, BeforeValidator(_sysctl), WithJsonSchema({**_STRING, "pattern": r"^net\."})
]
FilePath = Annotated[str, BeforeValidator(_file_path), WithJsonSchema({**_STRING, "pattern": "^/"})]
DirectoryPath = Annotated[
    str, BeforeValidator(_directory_path), WithJsonSchema({**_STRING, "pattern": "^/"})
]
Regex = Annotated[str, BeforeValidator(_regex), WithJsonSchema(_STRING)]
Port = Annotated[
    tuple[str, int],
    BeforeValidator(_port),
    WithJsonSchema({"type": ["integer", "string"], "description": "`80`, `tcp/80` or `udp/53`"}),
]
Argv = Annotated[
    list[Text],
    BeforeValidator(_argv),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [_STRING, {"type": "array", "items": _SCALAR, "minItems": 1}]}),
]


class Short:
    """Marks a value that may also be written shorter, for the JSON Schema."""

    def __init__(self, *forms: dict[str, Any]) -> None:
        self.forms = forms

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(core), *self.forms]}


NULL = Short({"type": "null"})
"""Nothing may be written for an empty mapping."""


def one_or_more(schema: dict[str, Any]) -> tuple[BeforeValidator, WithJsonSchema]:
    """Marks for a list that may be written as its only item."""
    return (
        BeforeValidator(listed),
        WithJsonSchema({"anyOf": [schema, {"type": "array", "items": schema}]}),
    )


def ip(text: str) -> IpAddress | None:
    """The address that ``text`` is, if it is one."""
    try:
        return ip_address(text)
    except ValueError:
        return None
