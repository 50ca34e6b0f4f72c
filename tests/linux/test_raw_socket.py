"""Raw sockets for any number, and taps."""

from __future__ import annotations

import ctypes
import errno
import struct
from typing import TYPE_CHECKING

import pytest

from netlab.errors import Unavailable
from netlab.linux import namespaces, raw_socket
from tests.io.taps import everything

if TYPE_CHECKING:
    from netlab.lab.lab import Lab

pytestmark = [pytest.mark.kernel, pytest.mark.netlab(topology="topologies/nat.yaml")]


@pytest.mark.parametrize(
    ("argument", "number"),
    [(-1, errno.EINVAL), (0, errno.EPROTONOSUPPORT), (263, errno.EINVAL), (1 << 20, errno.EINVAL)],
)
@pytest.mark.parametrize("family", [4, 6])
def test_arguments_that_socket_refuses(
    netlab: Lab, family: int, argument: int, number: int
) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what counts
        namespaces.inside(
            netlab["client"].namespace, lambda: raw_socket.raw_socket(family, argument)
        )
    assert caught.value.errno == number


@pytest.mark.netlab(topology="topologies/hdp/site.yaml")
@pytest.mark.parametrize("kernel_header", [False, True])
def test_255_of_ipv6_is_sent_only_with_the_kernel_s_header(
    netlab: Lab, *, kernel_header: bool
) -> None:
    def send() -> int:
        with raw_socket.raw_socket(6, 255, kernel_header=kernel_header) as mouth:
            return mouth.sendto(b"x" * 17, ("::1", 0))

    if kernel_header:
        assert namespaces.inside(netlab["client"].namespace, send) == 17
    else:
        with pytest.raises(OSError, match="Invalid argument"):
            namespaces.inside(netlab["client"].namespace, send)


def test_a_tap_sees_both_directions_with_the_kernel_s_time(netlab: Lab) -> None:
    with namespaces.inside(netlab["client"].namespace, raw_socket.Tap) as tap:
        netlab["client"].run(["ping", "-c1", "server"], check=True)
        frames = everything(tap)
        assert {(frame.interface, frame.outgoing) for frame in frames} == {
            ("eth0", True), ("eth0", False),
        }  # fmt: skip
        assert sorted(frame.time for frame in frames) == [frame.time for frame in frames]
        assert tap.lost == 0


CAP_NET_RAW = 13


def drop_net_raw() -> None:
    """Take the capability from the calling thread: capset(2) is about threads."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    data = ctypes.create_string_buffer(24)
    assert libc.capget(header, data) == 0
    effective, permitted, inheritable, *high = struct.unpack("=6I", data.raw)
    kept = effective & ~(1 << CAP_NET_RAW)
    lowered = struct.pack("=6I", kept, permitted, inheritable, *high)
    assert libc.capset(header, ctypes.create_string_buffer(lowered)) == 0


@pytest.mark.parametrize("opening", [lambda: raw_socket.raw_socket(4, 253), raw_socket.Tap])
def test_without_the_right_it_says_which_one(netlab: Lab, opening: object) -> None:
    def without() -> None:
        drop_net_raw()
        opening()  # type: ignore[operator]

    with pytest.raises(Unavailable, match="CAP_NET_RAW") as caught:
        namespaces.inside(netlab["client"].namespace, without)
    assert "setcap cap_net_raw" in caught.value.diagnostics[0].hint
