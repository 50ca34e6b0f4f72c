"""The sysctls that a network namespace has and may write: their names, and the values they take.

Found by asking: in a namespace of Linux 6.18 each name below /proc/sys/net was written with ever
larger and smaller numbers; names that other kernels or configurations have besides are added. A
setting of the whole machine (``net.core.rmem_max``) is not among them.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

TABLE = """\
net.core integer
    xfrm_acq_expires xfrm_larval_drop
net.ipv4 0..2147483647
    ipfrag_high_thresh ipfrag_low_thresh
net.ipv6 0..2147483647
    ip6frag_high_thresh ip6frag_low_thresh
net.netfilter 0..2147483647
    nf_conntrack_frag6_high_thresh nf_conntrack_frag6_low_thresh
net.ipv4 0..16777216
    tcp_child_ehash_entries
net.ipv4 0..65536
    udp_child_hash_entries
net.ipv4.neigh.* 0..1027504
    unres_qlen
net.ipv6.neigh.* 0..1027504
    unres_qlen
net.ipv6.conf.* 1280..65535
    mtu
net.core 0..1
    tstamp_allow_data txrehash
net.core 0..2147483647
    optmem_max somaxconn xfrm_aevent_etime xfrm_aevent_rseqth
net.core text
    rps_default_mask
net.ipv4 integer
    icmp_ratemask igmp_max_memberships igmp_max_msf ip_forward
    tcp_base_mss tcp_challenge_ack_limit
    tcp_fastopen tcp_limit_output_bytes tcp_max_syn_backlog tcp_max_tw_buckets
    tcp_probe_threshold xfrm4_gc_thresh
net.ipv4 -31..31
    tcp_adv_win_scale
net.ipv4 -8589934..8589934
    ipfrag_time tcp_fin_timeout tcp_keepalive_intvl tcp_keepalive_time
net.ipv4 0..1
    fib_multipath_use_neigh icmp_echo_enable_probe icmp_echo_ignore_all
    icmp_echo_ignore_broadcasts icmp_errors_use_inbound_ifaddr
    icmp_ignore_bogus_error_responses ip_autobind_reuse ip_forward_update_priority
    nexthop_compat_mode raw_l3mdev_accept tcp_autocorking tcp_backlog_ack_defer
    tcp_ecn_fallback tcp_l3mdev_accept tcp_migrate_req tcp_no_ssthresh_metrics_save
    tcp_plb_enabled tcp_reflect_tos tcp_shrink_window udp_l3mdev_accept
net.ipv4 0..1000
    tcp_pacing_ca_ratio tcp_pacing_ss_ratio
net.ipv4 0..127
    tcp_syn_linear_timeouts
net.ipv4 0..17179869
    tcp_probe_interval
net.ipv4 0..2
    fib_notify_on_flag_change tcp_ecn_option tcp_tw_reuse
net.ipv4 0..2147483647
    fib_multipath_hash_seed icmp_msgs_burst icmp_msgs_per_sec icmp_ratelimit ipfrag_max_dist
    tcp_comp_sack_delay_ns tcp_comp_sack_slack_ns tcp_fastopen_blackhole_timeout_sec
    tcp_invalid_ratelimit tcp_notsent_lowat
net.ipv4 0..255
    fwmark_reflect igmp_link_local_mcast_reports ip_dynaddr ip_early_demux ip_forward_use_pmtu
    ip_no_pmtu_disc ip_nonlocal_bind tcp_abort_on_overflow tcp_comp_sack_nr tcp_dsack
    tcp_early_demux tcp_fack tcp_frto tcp_fwmark_accept tcp_keepalive_probes
    tcp_moderate_rcvbuf tcp_mtu_probing tcp_no_metrics_save tcp_orphan_retries
    tcp_plb_suspend_rto_sec tcp_recovery tcp_retrans_collapse tcp_retries1 tcp_retries2
    tcp_rfc1337 tcp_sack tcp_slow_start_after_idle tcp_stdurg tcp_synack_retries
    tcp_syncookies tcp_thin_linear_timeouts tcp_timestamps tcp_tso_rtt_log tcp_tso_win_divisor
    tcp_window_scaling tcp_workaround_signed_windows udp_early_demux
net.ipv4 0..256
    tcp_plb_cong_thresh
net.ipv4 0..3
    fib_multipath_hash_policy tcp_ecn_option_beacon
net.ipv4 0..31
    tcp_app_win tcp_plb_idle_rehash_rounds tcp_plb_rehash_rounds
net.ipv4 0..4
    tcp_early_retrans
net.ipv4 0..2
    tcp_ecn
net.ipv4 0..65535
    ip_unprivileged_port_start
net.ipv4 0..86400
    tcp_min_rtt_wlen
net.ipv4 1..127
    tcp_syn_retries
net.ipv4 1..2147483647
    igmp_qrv tcp_max_reordering tcp_rto_min_us udp_rmem_min udp_wmem_min
net.ipv4 1..255
    ip_default_ttl tcp_min_tso_segs tcp_pingpong_thresh
net.ipv4 1..300
    tcp_reordering
net.ipv4 1..4095
    fib_multipath_hash_fields
net.ipv4 1..60000
    tcp_tw_reuse_delay
net.ipv4 1000..120000
    tcp_rto_max_ms
net.ipv4 48..65535
    tcp_min_snd_mss tcp_mtu_probe_floor
net.ipv4 numbers
    ip_local_port_range ping_group_range tcp_rmem tcp_wmem
net.ipv4 text
    ip_local_reserved_ports tcp_congestion_control tcp_fastopen_key
net.ipv4.conf.* integer
    accept_local accept_redirects accept_source_route arp_accept arp_announce
    arp_evict_nocarrier arp_filter arp_ignore arp_notify bc_forwarding bootp_relay
    disable_policy disable_xfrm drop_gratuitous_arp drop_unicast_in_l2_multicast
    force_igmp_version forwarding igmpv2_unsolicited_report_interval
    igmpv3_unsolicited_report_interval ignore_routes_with_linkdown log_martians medium_id
    promote_secondaries proxy_arp proxy_arp_pvlan route_localnet rp_filter secure_redirects
    send_redirects shared_media src_valid_mark tag
net.ipv4.neigh.* integer
    anycast_delay locktime proxy_delay retrans_time
net.ipv4.neigh.* -8589934..8589934
    base_reachable_time delay_first_probe_time gc_stale_time
net.ipv4.neigh.* 0..2147483647
    app_solicit base_reachable_time_ms mcast_resolicit mcast_solicit proxy_qlen
    retrans_time_ms ucast_solicit unres_qlen_bytes
net.ipv4.neigh.* 1..2147483647
    interval_probe_time_ms
net.ipv4.route integer
    flush min_adv_mss
net.ipv4.route -8589934..8589934
    mtu_expires
net.ipv4.route 68..2147483647
    min_pmtu
net.ipv6 integer
    calipso_cache_bucket_size calipso_cache_enable idgen_retries
    max_dst_opts_length max_dst_opts_number max_hbh_length
    max_hbh_opts_number seg6_flowlabel xfrm6_gc_thresh
net.ipv6 -8589934..8589934
    idgen_delay ip6frag_time
net.ipv6 0..16777215
    ioam6_id
net.ipv6 0..2
    fib_notify_on_flag_change
net.ipv6 0..2147483647
    ioam6_id_wide
net.ipv6 0..255
    anycast_src_echo_reply bindv6only flowlabel_consistency flowlabel_state_ranges
    fwmark_reflect ip_nonlocal_bind
net.ipv6 0..3
    auto_flowlabels fib_multipath_hash_policy
net.ipv6 0..7
    flowlabel_reflect
net.ipv6 1..4095
    fib_multipath_hash_fields
net.ipv6.conf.* integer
    accept_dad accept_ra accept_ra_defrtr accept_ra_from_local accept_ra_min_hop_limit
    accept_ra_min_lft accept_ra_mtu accept_ra_pinfo accept_ra_rt_info_max_plen
    accept_ra_rt_info_min_plen accept_ra_rtr_pref accept_redirects accept_source_route
    autoconf dad_transmits disable_ipv6 disable_policy drop_unicast_in_l2_multicast
    drop_unsolicited_na enhanced_dad force_mld_version force_tllao forwarding
    ignore_routes_with_linkdown keep_addr_on_down max_addresses max_desync_factor
    ndisc_notify optimistic_dad proxy_ndp regen_max_retry regen_min_advance seg6_enabled
    seg6_require_hmac suppress_frag_ndisc temp_prefered_lft temp_valid_lft use_oif_addrs_only
    use_optimistic use_tempaddr
net.ipv6.conf.* -1..2147483647
    router_solicitations
net.ipv6.conf.* -8589934..8589934
    router_probe_interval router_solicitation_delay router_solicitation_interval
    router_solicitation_max_interval
net.ipv6.conf.* 0..1
    force_forwarding ioam6_enabled ndisc_evict_nocarrier ra_honor_pio_life ra_honor_pio_pflag
    rpl_seg_enabled
net.ipv6.conf.* 0..2
    accept_untracked_na
net.ipv6.conf.* 0..2147483647
    ioam6_id_wide mldv1_unsolicited_report_interval mldv2_unsolicited_report_interval
net.ipv6.conf.* 0..255
    ndisc_tclass
net.ipv6.conf.* 0..3
    addr_gen_mode
net.ipv6.conf.* 0..65535
    ioam6_id
net.ipv6.conf.* 1..2147483647
    ra_defrtr_metric
net.ipv6.conf.* 1..255
    hop_limit
net.ipv6.conf.* text
    stable_secret
net.ipv6.icmp 0..1
    error_anycast_as_unicast
net.ipv6.icmp 0..2147483647
    ratelimit
net.ipv6.icmp 0..255
    echo_ignore_all echo_ignore_anycast echo_ignore_multicast
net.ipv6.icmp text
    ratemask
net.ipv6.neigh.* integer
    anycast_delay locktime proxy_delay retrans_time
net.ipv6.neigh.* -8589934..8589934
    base_reachable_time delay_first_probe_time gc_stale_time
net.ipv6.neigh.* 0..2147483647
    app_solicit base_reachable_time_ms mcast_resolicit mcast_solicit proxy_qlen
    retrans_time_ms ucast_solicit unres_qlen_bytes
net.ipv6.neigh.* 1..2147483647
    interval_probe_time_ms
net.ipv6.route integer
    flush gc_elasticity gc_thresh max_size min_adv_mss
net.ipv6.route -8589934..8589934
    gc_interval gc_min_interval gc_timeout mtu_expires
net.ipv6.route 0..1
    skip_notify_on_dev_down
net.ipv6.route 0..2147483647
    gc_min_interval_ms
net.netfilter integer
    nf_conntrack_dccp_loose
    nf_conntrack_helper nf_flowtable_tcp_timeout nf_flowtable_udp_timeout
net.netfilter -8589934..8589934
    nf_conntrack_frag6_timeout nf_conntrack_generic_timeout nf_conntrack_gre_timeout
    nf_conntrack_gre_timeout_stream nf_conntrack_icmp_timeout nf_conntrack_icmpv6_timeout
    nf_conntrack_sctp_timeout_closed nf_conntrack_sctp_timeout_cookie_echoed
    nf_conntrack_sctp_timeout_cookie_wait nf_conntrack_sctp_timeout_established
    nf_conntrack_sctp_timeout_heartbeat_sent nf_conntrack_sctp_timeout_shutdown_ack_sent
    nf_conntrack_sctp_timeout_shutdown_recd nf_conntrack_sctp_timeout_shutdown_sent
    nf_conntrack_tcp_timeout_close nf_conntrack_tcp_timeout_close_wait
    nf_conntrack_tcp_timeout_established nf_conntrack_tcp_timeout_fin_wait
    nf_conntrack_tcp_timeout_last_ack nf_conntrack_tcp_timeout_max_retrans
    nf_conntrack_tcp_timeout_syn_recv nf_conntrack_tcp_timeout_syn_sent
    nf_conntrack_tcp_timeout_time_wait nf_conntrack_tcp_timeout_unacknowledged
    nf_conntrack_udp_timeout nf_conntrack_udp_timeout_stream
net.netfilter 0..1
    nf_conntrack_acct nf_conntrack_checksum nf_conntrack_tcp_be_liberal
    nf_conntrack_tcp_ignore_invalid_rst nf_conntrack_tcp_loose nf_conntrack_timestamp
    nf_hooks_lwtunnel
net.netfilter 0..2
    nf_conntrack_events
net.netfilter 0..255
    nf_conntrack_log_invalid nf_conntrack_tcp_max_retrans
net.unix integer
    max_dgram_qlen
"""
"""Lines ``PREFIX VALUES``, and indented below them the names; ``*`` is an interface.

VALUES are ``integer`` (any of 32 bits), ``LOW..HIGH``, ``numbers`` or ``text``.
"""

OPEN = (
    "net.mptcp.",
    "net.bridge.",
    "net.sctp.",
    "net.mpls.",
    "net.smc.",
    "net.ipv4.vs.",
    "net.netfilter.nf_log.",
)
"""What modules add; whether a machine has them is found by `up`."""

_PER_INTERFACE = re.compile(r"(net\.ipv[46]\.(?:conf|neigh))\.([^.]+)\.([^.]+)")


class Known(NamedTuple):
    """What a sysctl takes: ``low`` to ``high`` if it is one number."""

    kind: str
    low: int = -(2**31)
    high: int = 2**31 - 1


def interface(key: str) -> str:
    """The interface that a sysctl is of; empty for one of the whole namespace."""
    found = _PER_INTERFACE.fullmatch(key)
    return found[2] if found and found[2] not in ("all", "default") else ""


def generic(key: str) -> str:
    """``net.ipv4.conf.eth0.rp_filter`` as ``net.ipv4.conf.*.rp_filter``."""
    return _PER_INTERFACE.sub(r"\1.*.\3", key)


@cache
def known() -> dict[str, Known]:
    """All sysctls by name, interfaces as ``*``."""
    found: dict[str, Known] = {}
    prefix, what = "", Known("text")
    for line in TABLE.splitlines():
        if line.startswith(" "):
            found.update((f"{prefix}.{name}", what) for name in line.split())
            continue
        prefix, values = line.split()
        low, dots, high = values.partition("..")
        what = Known("integer", int(low), int(high)) if dots else Known(values)
    return found
