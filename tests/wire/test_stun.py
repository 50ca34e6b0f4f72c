"""STUN: RFC 5769's test vectors, and what a server of RFC 5780 answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.wire import Malformed, stun
from netlab.wire.stun import Endpoint, answer, parse, request

# RFC 5769 section 2.2 and 2.3, sample IPv4 and IPv6 responses.
IPV4_RESPONSE = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147"
    "e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)
IPV6_RESPONSE = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a147"
    "0113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004"
    "c8fb0b4c"
)

ALL = [Endpoint(host, port) for host in ("192.0.2.1", "192.0.2.2") for port in (3478, 3479)]
CLIENT = Endpoint("203.0.113.7", 40_000)
ID = bytes(range(12))


@pytest.mark.parametrize(
    ("octets", "host"),
    [(IPV4_RESPONSE, "192.0.2.1"), (IPV6_RESPONSE, "2001:db8:1234:5678:11:2233:4455:6677")],
)
def test_the_test_vectors_are_read(octets, host):
    message = parse(octets)
    assert message.kind == stun.SUCCESS
    assert message.endpoint(stun.XOR_MAPPED_ADDRESS) == Endpoint(host, 32853)
    assert message.first(stun.SOFTWARE) == b"test vector"


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::7"])
@pytest.mark.parametrize("number", [stun.MAPPED_ADDRESS, stun.XOR_MAPPED_ADDRESS])
def test_an_address_comes_back(host, number):
    message = request(ID)
    made = message._replace(attributes=(message.encoded(number, Endpoint(host, 5)),))
    assert parse(bytes(made)).endpoint(number) == Endpoint(host, 5)


def asked(**options):
    made = answer(request(ID, **options), CLIENT, ALL[0], ALL)
    assert made
    return made


def test_a_server_says_what_it_saw_and_where_else_it_is():
    given_ = asked()
    assert given_.origin == ALL[0]
    assert given_.target == CLIENT
    message = parse(bytes(given_.message))
    assert message.transaction == ID
    assert message.endpoint(stun.XOR_MAPPED_ADDRESS) == CLIENT
    assert message.endpoint(stun.RESPONSE_ORIGIN) == ALL[0]
    assert message.endpoint(stun.OTHER_ADDRESS) == Endpoint("192.0.2.2", 3479)


@pytest.mark.parametrize(
    ("change", "origin"),
    [
        (stun.CHANGE_IP, Endpoint("192.0.2.2", 3478)),
        (stun.CHANGE_PORT, Endpoint("192.0.2.1", 3479)),
        (stun.CHANGE_IP | stun.CHANGE_PORT, Endpoint("192.0.2.2", 3479)),
    ],
)
def test_an_answer_comes_from_where_it_is_asked_to(change, origin):
    assert asked(change=change).origin == origin


def test_an_answer_goes_to_the_port_that_is_asked_for():
    assert asked(response_port=7).target == CLIENT._replace(port=7)


def test_one_address_cannot_change():
    made = answer(request(ID, change=stun.CHANGE_IP), CLIENT, ALL[0], ALL[:2])
    assert made
    assert made.message.kind == stun.ERROR
    assert (made.message.first(stun.ERROR_CODE) or b"")[2:4] == bytes((4, 20))
    assert made.message.first(stun.UNKNOWN_ATTRIBUTES) == stun.CHANGE_REQUEST.to_bytes(2)


def test_what_must_be_understood_and_is_not_is_refused():
    made = answer(request(ID)._replace(attributes=((0x0077, b""),)), CLIENT, ALL[0], ALL)
    assert made
    assert made.message.kind == stun.ERROR


def test_clients_of_rfc_3489_get_its_attributes():
    made = answer(request(ID)._replace(cookie=7), CLIENT, ALL[0], ALL)
    assert made
    numbers = [number for number, _ in made.message.attributes]
    assert numbers == [stun.MAPPED_ADDRESS, stun.SOURCE_ADDRESS, stun.CHANGED_ADDRESS]
    assert made.message.cookie == 7


def test_a_response_gets_no_answer():
    assert answer(request(ID)._replace(kind=stun.SUCCESS), CLIENT, ALL[0], ALL) is None


@given(st.binary(max_size=80))
def test_anything_is_read_or_refused(octets):
    try:
        message = parse(octets)
        message.endpoint(stun.XOR_MAPPED_ADDRESS, stun.MAPPED_ADDRESS)
    except Malformed:
        return
    assert bytes(message)[:20] == octets[:20]


@given(st.binary(max_size=60))
def test_any_attributes_are_read_or_refused(octets):
    head = bytes(request(ID))[:2] + len(octets).to_bytes(2) + bytes(request(ID))[4:]
    try:
        made = answer(parse(head + octets), CLIENT, ALL[0], ALL)
    except Malformed:
        return
    assert made
