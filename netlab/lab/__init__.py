"""The ONLY room that changes the machine.

apply.py       Plan -> running lab; any error takes all of it back
teardown.py    the way back: down, and gc for what a crash left
process.py     commands in nodes: become one, or start one
program.py     the topology's own programs: start, wait until ready
ownership.py   labs on disk: the record and the lock that make down and gc find everything
listing.py     the names of nodes for `ip netns`
marks.py       the processes of a lab: found by mark, stopped through pidfds
rootless.py    a user namespace for ordinary users, and the process that keeps it
footprint.py   what a process has on the machine, to find what a test left
facts.py       what this machine allows, found out by doing

namespaces.py  unshare, setns, mounts: every namespace switch of netlab is in this file
netlink.py     the few hot rtnetlink messages, encoded by hand
sockets.py     which ports are open, asked of sock_diag
resets.py      the kernel's TCP kept quiet for one port, for as long as a program lives
nftables.py  sysctl.py  tun.py  files.py  offloads.py   one kernel interface each
guard.py  refusal.py   signals and limits during a build; its errors in words
"""
