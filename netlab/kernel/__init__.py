"""The ONLY room that changes the machine.

namespaces.py  unshare, setns, mounts: every namespace switch of netlab is in this file
netlink.py     the few hot rtnetlink messages, encoded by hand
sysctl.py  nftables.py  tun.py   one kernel interface each
ownership.py   labs on disk: the record that makes down and gc find everything
rootless.py    a user namespace for ordinary users
process.py     programs in nodes: start, wait, stop
apply.py       Plan -> running lab; any error takes all of it back
"""
