"""The server behind a TUN device: an address that a userspace stack owns."""

from __future__ import annotations

import hashlib

import pytest

from tests.helpers.commands import NETLAB
from tests.programs import needs

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.root,  # /dev/net/tun is for root alone on some machines
    pytest.mark.netlab(topology="tests/io/stateless/tun.yaml"),
    needs("curl"),
]
CURL = ["curl", "-sS", "--max-time", "20"]


@pytest.mark.parametrize("address", ["198.51.100.80", "2001:db8:2::80"])
@pytest.mark.parametrize("mode", [[], ["--no-offload"], ["--as-published"]])
def test_a_page(netlab, serve, address: str, mode: list[str]) -> None:
    where = f"[{address}]" if ":" in address else address
    serve("http", "--listen", f"{where}:80", "--tun", "tun0", "--text", "Hello", *mode)
    got = netlab["client"].run([*CURL, f"http://{where}/"], check=True)
    assert got.stdout == "Hello\n"


@pytest.mark.parametrize("mode", [[], ["--no-offload"]])
def test_a_body_of_many_windows(netlab, serve, tmp_path, mode: list[str]) -> None:
    body = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(30_000))
    (tmp_path / "body").write_bytes(body)
    serve("http", "--listen", "198.51.100.80:80", "--tun", "tun0", "--file", str(tmp_path), *mode)
    netlab["client"].run(
        [*CURL, "-o", str(tmp_path / "got"), "http://198.51.100.80/body"], check=True
    )
    assert (tmp_path / "got").read_bytes() == body


def test_one_worker_only(netlab) -> None:

    argv = [*NETLAB, "stateless", "echo", "--listen", "198.51.100.80:7"]
    ran = netlab["server"].run([*argv, "--tun", "tun0", "--workers", "2"])
    assert ran.returncode == 2
    assert "E808" in ran.stderr
