from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.hdp import probes
from netlab.hdp.probes import Probe, Quote
from netlab.wire import hdp, icmp, ipv4, ipv6
from netlab.wire.address import packed

A4, B4 = packed("192.0.2.1"), packed("192.0.2.2")
A6, B6 = packed("2001:db8::1"), packed("2001:db8::2")
RUN = 0xBEEF

PROBES = st.builds(Probe, st.integers(-1, 262), st.integers(0, 254))


def packet(probe: Probe, family: int, size: int = 0) -> bytes:
    data = probes.datagram(probe, RUN, 1, size)
    number = probe.argument & 0xFF
    if family == 4:
        return ipv4.encode(ipv4.Header(A4, B4, number), data)
    return ipv6.encode(ipv6.Header(A6, B6, number), data)


def test_the_plan_goes_number_by_number() -> None:
    assert list(probes.plan(4, 2, [7, 9])) == [Probe(7, 0), Probe(7, 1), Probe(9, 0), Probe(9, 1)]
    assert len(list(probes.plan(4, 3))) == 264 * 3
    assert len(list(probes.plan(6, 3))) == 256 * 3


@pytest.mark.parametrize("packets", [0, 256])
def test_a_plan_is_bounded(packets: int) -> None:
    with pytest.raises(ValueError, match=r"1 \.\.\. 255"):
        list(probes.plan(4, packets))


@given(PROBES, st.sampled_from([4, 6]), st.integers(0, 200))
def test_a_probe_is_recognised_wherever_it_is_seen(probe: Probe, family: int, size: int) -> None:
    content = packet(probe, family, size)
    assert probes.recognise(content, RUN) == probe
    assert probes.recognise(content, RUN ^ 1) is None


@given(PROBES, st.binary(min_size=12, max_size=12))
def test_a_header_that_a_kernel_wrote_into_hides_nothing(probe: Probe, header: bytes) -> None:
    data = header + probes.datagram(probe, RUN, 1)[hdp.HEADER_LENGTH :]
    content = ipv6.encode(ipv6.Header(A6, B6, probe.argument & 0xFF), data)
    assert probes.recognise(content, RUN) == probe


def test_another_number_than_the_token_s_is_another_packet() -> None:
    content = ipv4.encode(ipv4.Header(A4, B4, 98), probes.datagram(Probe(99, 0), RUN, 1))
    assert probes.recognise(content, RUN) is None


@given(PROBES, st.integers(0, 100))
def test_an_icmp_error_is_about_the_probe_that_it_quotes(probe: Probe, size: int) -> None:
    about = icmp.unreachable(packet(probe, 4, size), icmp.PROTOCOL_UNREACHABLE)
    content = ipv4.encode(ipv4.Header(B4, A4, 1), icmp.encode(about, B4, A4))
    assert probes.recognise(content, RUN) == Quote(probe, 3, 2)


@given(PROBES)
def test_an_icmpv6_error_is_not_misled_by_extension_numbers(probe: Probe) -> None:
    error = icmp.Message(icmp.V6_PARAMETER_PROBLEM, 1, 6, packet(probe, 6))
    content = ipv6.encode(ipv6.Header(B6, A6, 58), icmp.encode(error, B6, A6))
    assert probes.recognise(content, RUN) == Quote(probe, 4, 1)


def test_a_router_that_quotes_eight_octets_tells_the_number_only() -> None:
    error = icmp.Message(icmp.UNREACHABLE, 2, 0, packet(Probe(99, 2), 4)[:28])
    content = ipv4.encode(ipv4.Header(B4, A4, 1), icmp.encode(error, B4, A4))
    assert probes.recognise(content, RUN) == Quote(Probe(99, 0), 3, 2)


def test_an_error_about_somebody_else_is_nothing() -> None:
    other = ipv4.encode(ipv4.Header(A4, B4, 17), b"x" * 40)
    content = ipv4.encode(ipv4.Header(B4, A4, 1), icmp.encode(icmp.unreachable(other, 3), B4, A4))
    assert probes.recognise(content, RUN) is None


@given(st.binary(max_size=120))
def test_nothing_on_the_wire_raises(content: bytes) -> None:
    probes.recognise(content, RUN)
