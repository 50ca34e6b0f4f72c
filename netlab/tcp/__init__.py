"""TCP without I/O, to be read beside RFC 9293. Begin with docs/tcp-tour.md.

seq.py         sequence numbers become plain integers at the door (section 3.4)
state.py       the eleven states, and every way between them, as a table (3.3.2)
segment.py     what a segment is in here
connection.py  the transmission control block, the user's calls (3.9.1), the timers
arrives.py     SEGMENT ARRIVES, step by step (3.10.7)
emit.py        how segments are made
sender.py      what goes out next: windows, Nagle, loss recovery (3.8)
  send_buffer.py  scoreboard.py  rto.py  congestion/     its parts: RFC 6675, 6298, 5681, 9438
receiver.py    reassembly, the window, SACK blocks
events.py      what the user is told; settings.py: what the user may choose

stack.py       many connections: packets in and out, listeners, SYN cookies, ICMP, path MTU
  envelope.py  fragments.py  errors.py  secrets.py       its parts
"""
