import pytest

from netlab.linux import sysctl


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/100.rp_filter", "/proc/sys/net/ipv4/conf/eth0.100/rp_filter"),
    ],
)
def test_a_slash_in_a_key_stands_for_a_dot(key: str, path: str) -> None:
    assert sysctl.path(key) == path


@pytest.mark.parametrize(
    "key", ["kernel.hostname", "net", "net..ipv4", "net.//.kernel.hostname", "net.", ""]
)
def test_only_settings_of_a_network_namespace(key: str) -> None:
    with pytest.raises(PermissionError):
        sysctl.path(key)
