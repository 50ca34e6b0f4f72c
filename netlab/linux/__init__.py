"""Linux's own interfaces: libc, netlink, packet sockets, TUN devices, sysctls, namespaces, BPF.

Nothing here knows of labs. Who ports netlab, or reads a kernel header beside it, looks here only.
"""
