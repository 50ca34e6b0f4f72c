"""The names of the kernel's reasons, the same for kernels that give fewer."""

from netlab.capture import drops


def test_an_older_kernel_s_emptied_queue_has_today_s_reason():
    for function in ("skb_queue_purge", "sk_stream_kill_queues", "inet_sock_destruct"):
        assert drops.as_today(function, "NOT_SPECIFIED") == (function, "QUEUE_PURGE")


def test_an_older_kernel_s_echo_reply_is_freed_where_today_s_is():
    for function in ("icmp_rcv", "icmpv6_rcv"):
        assert drops.as_today(function, "NO_SOCKET") == ("ping_rcv", "NO_SOCKET")


def test_any_other_reason_stays_as_it_is():
    for place in (
        ("ip_error", "NOT_SPECIFIED"),
        ("inet_sock_destruct", "SOCKET_CLOSE"),
        ("icmp_rcv", "ICMP_CSUM"),
        ("udp_rcv", "NO_SOCKET"),
    ):
        assert drops.as_today(*place) == place
