"""The names of the kernel's reasons, the same for kernels that give fewer."""

from netlab.capture import drops


def test_an_older_kernel_s_emptied_queue_has_today_s_reason():
    for function in ("skb_queue_purge", "sk_stream_kill_queues", "inet_sock_destruct"):
        assert drops.reason_at(function, "NOT_SPECIFIED") == "QUEUE_PURGE"


def test_any_other_reason_stays_as_it_is():
    assert drops.reason_at("ip_error", "NOT_SPECIFIED") == "NOT_SPECIFIED"
    assert drops.reason_at("inet_sock_destruct", "SOCKET_CLOSE") == "SOCKET_CLOSE"
