"""Two cores and a seeded wire: what comes out is what went in, and nothing is left behind."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.tcp.events import End
from netlab.tcp.sender import NEVER
from netlab.tcp.settings import Settings
from netlab.tcp.state import State
from tests.tcp.simulation import Side, Simulation, Weather, pair

choices = st.builds(
    Settings,
    send_buffer=st.sampled_from([2000, 70_000, 4 << 20]),
    receive_buffer=st.sampled_from([3000, 20_000, 4 << 20]),
    largest_segment=st.sampled_from([0, 65_000]),
    nagle=st.booleans(),
    delayed_ack=st.sampled_from([0.0, 0.04, 0.2]),
    window_scaling=st.booleans(),
    timestamps=st.booleans(),
    sack=st.booleans(),
    ecn=st.booleans(),
    loss_detection=st.sampled_from(["rack", "rfc6675"]),
    congestion=st.sampled_from(["reno", "cubic"]),
    user_timeout=st.just(1e5),
    syn_timeout=st.just(1e5),
    mtu=st.just(1500),
    initial_rto=st.just(1.0),
    minimum_rto=st.sampled_from([0.2, 1.0]),
    maximum_rto=st.just(60.0),
    r1=st.just(3),
    msl=st.just(30.0),
    keepalive=st.just(value=False),
    keepalive_idle=st.just(7200.0),
    keepalive_interval=st.just(75.0),
    keepalive_count=st.just(9),
    black_hole_detection=st.just(value=False),
    ttl=st.just(64),
    dscp=st.just(0),
)
weathers = st.builds(
    Weather,
    loss=st.sampled_from([0.0, 0.01, 0.1, 0.3]),
    duplication=st.sampled_from([0.0, 0.1]),
    delay=st.sampled_from([0.0001, 0.01]),
    jitter=st.sampled_from([0.0, 0.001, 0.05]),
)
sequence_numbers = st.sampled_from([0, 1000, 2**31 - 5, 2**32 - 5000, 2**32 - 1])
sizes = st.sampled_from([0, 1, 1447, 5000, 60_000])


def assert_all_is_well(simulation: Simulation, texts: tuple[bytes, bytes]) -> None:
    a, b = simulation.sides
    assert bytes(b.inbox) == texts[0]
    assert bytes(a.inbox) == texts[1]
    for side in (a, b):
        assert side.connection.state is State.CLOSED
        assert side.connection.end is End.NORMAL
        assert side.connection.next_timer() == NEVER


@settings(deadline=None)
@given(
    choices,
    choices,
    weathers,
    st.tuples(sizes, sizes),
    st.tuples(sequence_numbers, sequence_numbers),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_any_two_understand_each_other_in_any_weather(  # noqa: PLR0917 - what hypothesis draws
    ours: Settings,
    theirs: Settings,
    weather: Weather,
    lengths: tuple[int, int],
    iss: tuple[int, int],
    simultaneous: bool,  # noqa: FBT001
    seed: int,
) -> None:
    rnd = random.Random(seed)
    texts = rnd.randbytes(lengths[0]), rnd.randbytes(lengths[1])
    a, b = pair(ours, theirs, iss=iss, simultaneous=simultaneous)
    simulation = Simulation(Side(a, texts[0]), Side(b, texts[1]), weather, seed)
    simulation.run()
    assert_all_is_well(simulation, texts)


@pytest.mark.parametrize("sack", [True, False])
@pytest.mark.parametrize("congestion", ["reno", "cubic"])
@pytest.mark.parametrize("detection", ["rack", "rfc6675"])
def test_thirty_percent_loss_each_way(sack: bool, congestion: str, detection: str) -> None:  # noqa: FBT001
    choice = Settings(sack=sack, congestion=congestion, loss_detection=detection, user_timeout=1e5)
    text = random.Random(1).randbytes(300_000)
    a, b = pair(choice)
    simulation = Simulation(Side(a, text), Side(b, text), Weather(loss=0.3), seed=2)
    simulation.run()
    assert_all_is_well(simulation, (text, text))


def test_without_loss_nothing_is_sent_twice() -> None:
    text = bytes(500_000)
    a, b = pair()
    simulation = Simulation(Side(a, text), Side(b, text))
    simulation.run()
    assert a.sender.retransmissions == b.sender.retransmissions == 0
    assert_all_is_well(simulation, (text, text))


def test_one_loss_is_repaired_without_a_timeout() -> None:
    for choice in (Settings(), Settings(loss_detection="rfc6675"), Settings(sack=False)):
        text = bytes(400_000)
        a, b = pair(choice)
        simulation = Simulation(Side(a, text), Side(b))
        simulation.lose = lambda number, to: to == 1 and number == 60
        simulation.run()
        assert_all_is_well(simulation, (text, b""))
        assert a.sender.retransmissions == 1
        # A timeout would have cost 200 ms.
        arrived = max(at for at, side, s in simulation.sent if side == 0 and s.length)
        assert arrived < 0.3


def test_many_losses_in_one_window_are_repaired_in_few_round_trips() -> None:
    text = bytes(400_000)
    a, b = pair()
    simulation = Simulation(Side(a, text), Side(b))
    simulation.lose = lambda number, to: to == 1 and 80 <= number < 120 and number % 3 == 0
    simulation.run()
    assert_all_is_well(simulation, (text, b""))
    assert max(at for at, side, s in simulation.sent if side == 0 and s.length) < 0.4


def test_the_peer_closes_first() -> None:
    a, b = pair()
    simulation = Simulation(Side(a), Side(b, b"farewell"))
    simulation.sides[0].closes = False
    simulation.run(until=10)
    assert a.state is State.CLOSE_WAIT
    assert b.state is State.FIN_WAIT_2
    simulation.sides[0].closes = True
    simulation.run()
    assert_all_is_well(simulation, (b"", b"farewell"))


def test_one_half_closes_and_still_receives() -> None:
    a, b = pair()
    simulation = Simulation(Side(a, b"question"), Side(b))
    simulation.sides[1].closes = False
    simulation.run(until=10)
    assert (a.state, b.state) == (State.FIN_WAIT_2, State.CLOSE_WAIT)
    simulation.sides[1].outbox = answer = bytes(100_000)
    simulation.sides[1].closes = True
    simulation.run()
    assert_all_is_well(simulation, (b"question", answer))


def test_a_reader_that_stops_is_probed_and_the_connection_stays() -> None:
    choice = Settings(receive_buffer=10_000, user_timeout=100.0)
    text = bytes(50_000)
    a, b = pair(choice)
    side = Side(b, read=0)
    side.closes = False
    simulation = Simulation(Side(a, text), side)
    simulation.run(until=1000)  # far beyond R2: the peer answers all probes (MUST-37)
    assert a.state is State.FIN_WAIT_1
    probes = [at for at, who, s in simulation.sent if who == 0 and s.length == 1]
    gaps = [round(later - earlier, 6) for earlier, later in itertools.pairwise(probes)]
    assert len(probes) > 10
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(60.0)
    side.read = 1 << 30
    side.closes = True
    simulation.run()
    assert_all_is_well(simulation, (text, b""))


def test_a_slow_reader_never_sees_silly_windows() -> None:
    choice = Settings(receive_buffer=20_000, nagle=True)
    text = bytes(200_000)
    a, b = pair(choice)
    simulation = Simulation(Side(a, text), Side(b, read=300))
    simulation.tick = 0.001
    simulation.run()
    small = [s for _, who, s in simulation.sent if who == 0 and 0 < s.length < 1000]
    assert len(small) <= 2
    assert bytes(simulation.sides[1].inbox) == text


def test_silence_ends_in_a_timeout_after_r2() -> None:
    a, b = pair(Settings(user_timeout=100.0))
    simulation = Simulation(Side(a), Side(b))
    for side in simulation.sides:
        side.closes = False
    simulation.run(until=1)
    simulation.weather = Weather(loss=1.0)
    simulation.sides[0].outbox = b"anyone?"
    simulation.run(until=1000)
    assert a.end is End.TIMED_OUT
    last = max(at for at, who, _ in simulation.sent if who == 0)
    assert 50 < last < 200


def test_a_syn_is_repeated_for_three_minutes() -> None:
    a, b = pair()
    simulation = Simulation(Side(a), Side(b), Weather(loss=1.0))
    simulation.run(until=1000)
    assert a.end is End.TIMED_OUT
    times = [at for at, who, _ in simulation.sent if who == 0]
    assert times[:6] == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0]
    assert simulation.now >= 180


def test_keepalive_finds_a_dead_peer_but_not_by_one_probe() -> None:
    choice = Settings(keepalive=True)
    a, b = pair(choice)
    simulation = Simulation(Side(a), Side(b))
    for side in simulation.sides:
        side.closes = False
    simulation.run(until=7100)
    idle = len(simulation.sent)
    simulation.run(until=20_000)
    assert a.state is State.ESTABLISHED  # the probes were answered
    assert len(simulation.sent) > idle
    simulation.weather = Weather(loss=1.0)
    simulation.run(until=40_000)
    assert a.end is End.TIMED_OUT


def test_idle_connections_are_silent_by_default() -> None:
    a, b = pair()
    simulation = Simulation(Side(a), Side(b))
    for side in simulation.sides:
        side.closes = False
    simulation.run(until=1e6)
    assert len(simulation.sent) == 3
    assert a.next_timer() == b.next_timer() == NEVER
