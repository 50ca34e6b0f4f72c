from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.wire import address

if TYPE_CHECKING:
    import ipaddress


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_text_and_packed_are_inverse(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert address.text(ip.packed) == str(ip)
    assert address.packed(str(ip)) == ip.packed


@pytest.mark.parametrize(
    ("text", "multicast", "unicast"),
    [
        ("10.0.0.1", False, True),
        ("224.0.0.1", True, False),
        ("239.255.255.255", True, False),
        ("240.0.0.1", False, False),
        ("255.255.255.255", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("fd00::1", False, True),
        ("fe80::1", False, True),
        ("ff02::1", True, False),
    ],
)
def test_what_an_address_may_stand_for(text: str, *, multicast: bool, unicast: bool) -> None:
    assert address.is_multicast(address.packed(text)) is multicast
    assert address.is_unicast(address.packed(text)) is unicast
