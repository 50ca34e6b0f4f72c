"""The means to compare with scapy, an independent implementation of the same formats."""

from __future__ import annotations

import warnings
from typing import Any

import pytest


@pytest.fixture(scope="session")
def scapy() -> Any:
    """scapy's layers in one namespace; importing them warns about things that are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from scapy.layers import inet, inet6

    class Layers:
        IP, TCP, UDP, ICMP = inet.IP, inet.TCP, inet.UDP, inet.ICMP
        IPv6, ICMPv6EchoRequest = inet6.IPv6, inet6.ICMPv6EchoRequest
        ICMPv6PacketTooBig = inet6.ICMPv6PacketTooBig
        Fragment, HopByHop = inet6.IPv6ExtHdrFragment, inet6.IPv6ExtHdrHopByHop

    return Layers
