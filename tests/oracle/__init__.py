"""An oracle for ``netlab explain``: the same packets, judged by other witnesses.

A seed draws a topology with one intended obstacle, or none, and the packets to send, so the
author of the sample knows how they end. Sockets, ICMP errors and the kernel's own counters then
confirm that the obstacle really acted; a sample that they do not confirm is discarded, and counted
as such. Only then is netlab's answer compared.

Nothing here imports netlab's capture, trace or predict rooms: netlab is asked by its command line.

    python -m tests.oracle --flows 300 --seed 0
"""
