from __future__ import annotations

import socket

import pytest

from netlab.hdp import numbers


def test_names_agree_with_the_c_library_where_it_has_a_constant() -> None:
    constants = {
        "ICMP": socket.IPPROTO_ICMP, "IGMP": socket.IPPROTO_IGMP, "TCP": socket.IPPROTO_TCP,
        "UDP": socket.IPPROTO_UDP, "GRE": socket.IPPROTO_GRE, "ESP": socket.IPPROTO_ESP,
        "AH": socket.IPPROTO_AH, "ICMPv6": socket.IPPROTO_ICMPV6, "PIM": socket.IPPROTO_PIM,
        "SCTP": socket.IPPROTO_SCTP, "UDPLite": socket.IPPROTO_UDPLITE,
        "v6-Frag": socket.IPPROTO_FRAGMENT, "v6-Opts": socket.IPPROTO_DSTOPTS, "IDP": 22,
    }  # fmt: skip
    constants.pop("IDP")
    assert {
        name: number for number, name in numbers.NAMES.items() if name in constants
    } == constants


def test_every_name_fits_into_a_cell() -> None:
    assert max(map(len, numbers.NAMES.values())) <= 8
    assert len(set(numbers.NAMES.values())) == len(numbers.NAMES)


@pytest.mark.parametrize(("argument", "number"), [(1, 1), (255, 255), (256, 0), (262, 6)])
def test_the_header_keeps_eight_bits(argument: int, number: int) -> None:
    assert numbers.on_the_wire(argument) == number


def test_an_unassigned_number_has_no_name() -> None:
    assert numbers.name(200) == ""
    assert numbers.name(147) == "BIT-EMU"


def test_a_sweep_covers_every_number_on_the_wire() -> None:
    assert {numbers.on_the_wire(a) for a in numbers.arguments(4)} == set(range(256))
    assert set(numbers.arguments(6)) == set(range(256))
