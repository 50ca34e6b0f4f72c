"""The cores joined to the world: sockets, clocks, loops. Nothing here decides, it carries.

raw.py        raw sockets for any protocol number, packet sockets that see everything
conntrack.py  what connection tracking could not confirm; making it forget
burst.py      floods: hundreds of frames with one call of the kernel
hdp.py        the HDP client and server on this machine
latency.py    from one program to another, HDP against UDP
sweep.py      every protocol number through a lab, watched at every hop
tun.py        a TUN device with the offloads that make it fast; watch.py looks on
engine.py     a TCP stack, a device and the clock; tcp.py for asyncio, tcp_blocking.py without
services.py   echo, discard, chargen and HTTP on that stack; states.py shows its connections
stateless/    the stateless TCP server: packet socket or TUN, backends
"""
