"""Topologies written in Python: `Topology().host("a").host("b").link("a", "b")`.

What is said here becomes the data of a file and is read as one, so that the model and every
diagnostic are those of files. A diagnostic shows the line of that file, which ``text`` gives.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from netlab.topology.resolve import loads

if TYPE_CHECKING:
    from netlab.topology import model

FILE = "<Topology>"
"""What diagnostics call the file that never was one."""


class Topology:
    """Nodes and links, added one by one; keys are those of a topology file.

    ``host``, ``router``, ``nat``, ``bridge``, ``stack`` and ``link`` return the topology itself,
    so that calls can be chained. ``netlab.Lab`` takes it in place of a file.
    """

    def __init__(self, name: str = "lab", **keys: Any) -> None:
        """``keys`` are further keys of the file: ``description``, ``defaults``, ``templates``."""
        self._file: dict[str, Any] = {"name": name, **keys, "nodes": {}, "links": []}

    def node(self, name: str, kind: str, **keys: Any) -> Topology:
        """Add a node of any kind; of a name that is there already, replace it.

        Its keys are those of the file: ``firewall=["accept tcp/80"]``.
        """
        self._file["nodes"][name] = {"kind": kind, **keys}
        return self

    def host(self, name: str, **keys: Any) -> Topology:
        """Add a host."""
        return self.node(name, "host", **keys)

    def router(self, name: str, **keys: Any) -> Topology:
        """Add a router."""
        return self.node(name, "router", **keys)

    def nat(self, name: str, **keys: Any) -> Topology:
        """Add a NAT."""
        return self.node(name, "nat", **keys)

    def bridge(self, name: str, **keys: Any) -> Topology:
        """Add an Ethernet switch."""
        return self.node(name, "bridge", **keys)

    def stack(self, name: str, **keys: Any) -> Topology:
        """Add a host with a userspace stack."""
        return self.node(name, "stack", **keys)

    def link(self, one: str, other: str, **keys: Any) -> Topology:
        """Add a link between two ends, ``node`` or ``node:interface``; keys as in the file."""
        self._file["links"].append({"ends": [one, other], **keys})
        return self

    @property
    def text(self) -> str:
        """The same as a topology file: JSON, which is YAML, a line for each node and link."""
        nodes = [f" {json.dumps(n)}: {json.dumps(k)}" for n, k in self._file["nodes"].items()]
        links = [f" {json.dumps(link)}" for link in self._file["links"]]
        lines = [
            f"{json.dumps(key)}: {json.dumps(value)},"
            for key, value in self._file.items()
            if key not in ("nodes", "links")
        ]
        lines += ['"nodes": {', ",\n".join(nodes), "},", '"links": [', ",\n".join(links), "]}\n"]
        return "\n".join(["{", *lines])

    def resolve(self) -> model.Topology:
        """The finished topology.

        Raises:
            InputError: with every problem, as for a file.
        """
        return loads(self.text, FILE)
