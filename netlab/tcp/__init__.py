"""TCP without I/O, to be read beside RFC 9293. Begin with docs/tcp-tour.md.

Read state.py (3.3.2), seq.py (3.4) and connection.py (3.9.1) first, then segment_arrives.py
(3.10.7), output.py, sender.py (3.8) and receiver.py; stack.py joins many connections to IP.
"""
