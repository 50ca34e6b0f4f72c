"""Every NAT behaviour, named by STUN clients that we did not write.

The judges: coturn's ``turnutils_natdiscovery`` against ``turnserver`` on two addresses (RFC 5780),
and Debian's ``stun`` against ``stund`` (RFC 3489).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from netlab.plan import nat
from netlab.plan.chains import Chains
from netlab.topology.nat import DEPENDENCES, Dependence, Translator
from tests.middlebox.spaces import OTHER, OUTSIDE, SERVER, Spaces

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel

PAIRS = [(m, f) for m in DEPENDENCES for f in DEPENDENCES]

COTURN = {
    "Endpoint Independent": "endpoint-independent",
    "Address Dependent": "address-dependent",
    "Address and Port Dependent": "address-and-port-dependent",
}


def translator(mapping: Dependence, filtering: Dependence, **more: object) -> Translator:
    symmetric = mapping == "address-and-port-dependent"
    return Translator(
        "wan",
        (IPv4Address(OUTSIDE),),
        mapping,
        filtering,
        ports="random" if symmetric else "preserve",
        **more,  # type: ignore[arg-type] # the tests' own keywords
    )


def use(spaces: Spaces, made: Translator) -> None:
    chains = Chains()
    nat.translate(chains, made)
    spaces.rules(chains.text(), list(nat.sysctls(made)))


def wait_for_udp(spaces: Spaces, *endpoints: str) -> None:
    for _ in range(200):
        listening = spaces.run("server", "ss", "-Huln")
        if all(e in listening for e in endpoints):
            return
        spaces.run("server", "sleep", "0.05")
    pytest.fail(f"nothing listens at {endpoints}")


@pytest.fixture(scope="module")
def coturn(spaces: Spaces, tmp_path_factory: pytest.TempPathFactory) -> Spaces:
    if not shutil.which("turnserver"):
        pytest.skip("needs coturn")
    folder: Path = tmp_path_factory.mktemp("coturn")
    options = f"-n -z -L {SERVER} -L {OTHER} --no-tls --no-dtls --no-cli --log-file stdout"
    spaces.start(
        "server",
        "turnserver",
        *options.split(),
        *("-b", str(folder / "db"), "--pidfile", str(folder / "pid")),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for_udp(spaces, f"{SERVER}:3478", f"{SERVER}:3479", f"{OTHER}:3478", f"{OTHER}:3479")
    return spaces


def discover(spaces: Spaces, *options: str) -> str:
    return spaces.run(
        "a", "turnutils_natdiscovery", *options, SERVER, check=False, stderr=subprocess.STDOUT
    )


@pytest.mark.parametrize(("mapping", "filtering"), PAIRS)
def test_coturn_names_every_pair(
    coturn: Spaces, mapping: Dependence, filtering: Dependence
) -> None:
    use(coturn, translator(mapping, filtering))
    said = discover(coturn, "-m", "-f")
    named = {kind: COTURN[what] for what, kind in re.findall(r"NAT with (.*) (\w+)!", said)}
    assert named == {"Mapping": mapping, "Filtering": filtering}


@pytest.mark.parametrize("hairpinning", [True, False])
def test_coturn_sees_hairpinning(coturn: Spaces, hairpinning: bool) -> None:  # noqa: FBT001
    use(
        coturn,
        translator("endpoint-independent", "endpoint-independent", hairpinning=hairpinning),
    )
    said = discover(coturn, "-H")
    assert ("successful hairpinning" in said) is hairpinning


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
def stund(spaces: Spaces) -> Spaces:
    if not (shutil.which("stund") and shutil.which("stun")):
        pytest.skip("needs Debian's stun-server and stun-client")
    # Ports of its own: coturn has the standard ones.
    options = ("-h", SERVER, "-a", OTHER, "-p", "5478", "-o", "5479")
    spaces.start("server", "stund", *options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_udp(spaces, f"{SERVER}:5478", f"{OTHER}:5479")
    return spaces


@pytest.mark.parametrize(("pair", "name"), DEBIAN.items(), ids=list(DEBIAN.values()))
def test_debian_stun_names_the_four_kinds(
    stund: Spaces, pair: tuple[Dependence, Dependence], name: str
) -> None:
    use(stund, translator(*pair))
    said = stund.run("a", "stun", f"{SERVER}:5478", check=False)
    assert f"Primary: {name}" in said
