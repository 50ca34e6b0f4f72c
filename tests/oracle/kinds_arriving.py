"""Packets with nothing in their way."""

from tests.oracle.path import Path
from tests.oracle.sample import Draw, Sample, kind
from tests.oracle.traffic import arrival, traffic


@kind("echo answered")
def echo(draw: Draw) -> Sample:
    path = draw.path()
    first = arrival(path, traffic(draw, path, protocol="icmp"))
    again = arrival(path, traffic(draw, path, protocol="icmp", family=6 if first.flow.six else 4))
    return Sample(path, [first, again])


@kind("UDP arrives")
def udp(draw: Draw) -> Sample:
    path = draw.path()
    return Sample(path, [arrival(path, traffic(draw, path, protocol="udp"))])


@kind("TCP connects")
def tcp(draw: Draw) -> Sample:
    path = draw.path()
    return Sample(path, [arrival(path, traffic(draw, path, protocol="tcp"))])


@kind("another protocol arrives")
def other(draw: Draw) -> Sample:
    path = draw.path()
    protocol = str(draw.rng.choice((99, 143, 200, 253, 254, 255)))
    return Sample(path, [arrival(path, traffic(draw, path, protocol=protocol))])


@kind("fragments arrive")
def fragments(draw: Draw) -> Sample:
    path = draw.path()
    protocol = draw.rng.choice(("udp", "icmp", "253"))
    size = draw.rng.choice((1473, 2000, 3000, 8000))
    sent = traffic(draw, path, protocol=protocol, size=size)
    return Sample(path, [arrival(path, sent)])


@kind("cut at a router")
def cut(draw: Draw) -> Sample:
    """Without path MTU discovery Linux sends packets that may be fragmented."""
    path = draw.path(shortest=2, families=(4,))
    narrow(draw, path)
    path.forms[path.sender]["sysctls"] = {"net.ipv4.ip_no_pmtu_disc": 1}
    sent = traffic(draw, path, protocol="255", family=4, size=draw.rng.choice((1300, 1480)))
    return Sample(path, [arrival(path, sent)])


@kind("several packets arrive")
def several(draw: Draw) -> Sample:
    path = draw.path()
    protocol = draw.rng.choice(("udp", "icmp", "253", "tcp"))
    sent = traffic(draw, path, protocol=protocol, packets=draw.rng.randint(2, 5))
    return Sample(path, [arrival(path, sent)])


@kind("many flows of one lab")
def flows(draw: Draw) -> Sample:
    path = draw.path()
    ports = draw.rng.sample(range(1000, 30000), 3)
    return Sample(
        path, [arrival(path, traffic(draw, path, protocol="udp", port=port)) for port in ports]
    )


def narrow(draw: Draw, path: Path) -> None:
    """Give a segment behind the first router a smaller MTU."""
    segment = path.segments[draw.rng.randrange(1, len(path.segments))]
    small = draw.rng.choice((600, 905, 1006))
    for link in path.links:
        ends = {end.partition(":")[0] for end in link["ends"]}
        switches = {end for end in ends if end.startswith(f"s{segment.number}")}
        if switches or link is path.link(segment):
            link["mtu"] = small
