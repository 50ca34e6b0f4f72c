"""The cores joined to the world: sockets, clocks, loops. Nothing here decides, it carries.

raw.py    raw sockets for any protocol number, packet sockets that see everything
burst.py  many packets with one call of the kernel
hdp.py    the HDP client and server on this machine
sweep.py  every protocol number through a lab, watched at every hop
"""
