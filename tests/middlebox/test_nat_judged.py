"""Every NAT behaviour, named by STUN clients that we did not write.

The judges: coturn's ``turnutils_natdiscovery`` against ``turnserver`` on two addresses (RFC 5780),
and Debian's ``stun`` against ``stund`` (RFC 3489).
"""

from __future__ import annotations

import re
import subprocess
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest

from netlab.lab.lab import Lab
from netlab.plan import firewall, nat
from netlab.topology.model import Node
from netlab.topology.nat import DEPENDENCES, Dependence, Translator
from netlab.verify.nat import OTHER, SERVER, alone
from tests.helpers.waiting import wait_for
from tests.programs import needs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.kernel

PAIRS = [(m, f) for m in DEPENDENCES for f in DEPENDENCES]

COTURN = {
    "Endpoint Independent": "endpoint-independent",
    "Address Dependent": "address-dependent",
    "Address and Port Dependent": "address-and-port-dependent",
}


def translator(mapping: Dependence, filtering: Dependence, **more: Any) -> Translator:
    symmetric = mapping == "address-and-port-dependent"
    ports: Any = "random" if symmetric else "preserve"
    outside = (IPv4Address("192.0.2.1"),)
    return Translator("wan", outside, mapping, filtering, ports, **more)


def use(lab: Lab, made: Translator) -> None:
    """Make the lab's NAT another one, as if it had just been built."""
    text = "flush ruleset\n" + firewall.ruleset(Node("nat", "nat", nat=(made,)))
    lab["nat"].run(["nft", "-f", "-"], input=text, check=True)
    for key, value in nat.sysctls(made):
        lab["nat"].run(["sysctl", "-qw", f"{key}={value}"], check=True)
    lab["nat"].run(["conntrack", "-F"], check=True)


@pytest.fixture(scope="module")
def lab(netlab_state) -> Iterator[Lab]:
    with Lab(alone(translator("endpoint-independent", "endpoint-independent"))) as made:
        made["server"].run(["ip", "address", "add", f"{OTHER}/24", "dev", "eth0"], check=True)
        yield made


def serve(lab: Lab, argv: list[str], *endpoints: str) -> subprocess.Popen[str]:
    """A server that listens at all these UDP endpoints."""
    quiet = subprocess.DEVNULL
    started = lab["server"].popen(argv, stdout=quiet, stderr=quiet)

    def listens() -> bool:
        assert started.poll() is None, f"{argv[0]} ended"
        listed = lab["server"].run(["ss", "-Huln"], check=True).stdout
        return all(e in listed for e in endpoints)

    wait_for(listens)
    return started


@pytest.fixture(scope="module")
def coturn(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder: Path = tmp_path_factory.mktemp("coturn")
    options = f"-n -z -L {SERVER} -L {OTHER} --no-tls --no-dtls --no-cli --log-file stdout"
    files = ["-b", str(folder / "db"), "--pidfile", str(folder / "pid")]
    ends = [f"{address}:{port}" for address in (SERVER, OTHER) for port in (3478, 3479)]
    server = serve(lab, ["turnserver", *options.split(), *files], *ends)
    yield lab
    server.terminate()
    server.wait()


def discover(lab: Lab, *options: str) -> str:
    ran = lab["a"].run(["turnutils_natdiscovery", *options, SERVER])
    return str(ran.stdout + ran.stderr)


@needs("turnserver", "turnutils_natdiscovery", "conntrack")
@pytest.mark.parametrize(("mapping", "filtering"), PAIRS)
def test_coturn_names_every_pair(coturn, mapping, filtering):
    use(coturn, translator(mapping, filtering))
    said = discover(coturn, "-m", "-f")
    named = {kind: COTURN[what] for what, kind in re.findall(r"NAT with (.*) (\w+)!", said)}
    assert named == {"Mapping": mapping, "Filtering": filtering}


@needs("turnserver", "turnutils_natdiscovery", "conntrack")
@pytest.mark.parametrize("hairpinning", [True, False])
def test_coturn_sees_hairpinning(coturn, hairpinning):
    made = translator("endpoint-independent", "endpoint-independent", hairpinning=hairpinning)
    use(coturn, made)
    assert ("successful hairpinning" in discover(coturn, "-H")) is hairpinning


DEBIAN: dict[tuple[Dependence, Dependence], str] = {
    ("endpoint-independent", "endpoint-independent"): "Independent Mapping, Independent Filter",
    ("endpoint-independent", "address-dependent"): "Independent Mapping, Address Dependent Filter",
    (
        "endpoint-independent",
        "address-and-port-dependent",
    ): "Independent Mapping, Port Dependent Filter",
    ("address-and-port-dependent", "address-and-port-dependent"): "Dependent Mapping",
}
"""RFC 3489 knows four kinds: full cone, restricted cone, port restricted cone, symmetric."""


@pytest.fixture(scope="module")
def stund(lab: Lab) -> Iterator[Lab]:
    # Ports of its own: coturn has the standard ones.
    argv = ["stund", "-h", SERVER, "-a", OTHER, "-p", "5478", "-o", "5479"]
    server = serve(lab, argv, f"{SERVER}:5478", f"{OTHER}:5479")
    yield lab
    server.terminate()
    server.wait()


@needs("stun", "stund", "conntrack")
@pytest.mark.parametrize(("pair", "name"), DEBIAN.items(), ids=list(DEBIAN.values()))
def test_debian_stun_names_the_four_kinds(stund, pair, name):
    use(stund, translator(*pair))
    assert f"Primary: {name}" in stund["a"].run(["stun", f"{SERVER}:5478"]).stdout
