"""PURE: HDP, an unregistered transport protocol, and the fate of each IP protocol number.

numbers.py   the 256 protocol numbers: their names, which socket argument leaves as which
endpoint.py  the client, which makes datagrams, and the server, which judges what comes in
table.py     what each side saw, as Markdown, CSV and JSON; the two joined
sweep.py     one probe for every number; the evidence of every hop joined into one row each
verdict.py   the reason for a row, in a few words
listing.py   the rows as CSV and Markdown
published.py the author's table of macOS, as data
grid.py      256 cells at one look: terminal and SVG
plot.py      distributions of latency as a picture
compare.py   what changed between two sweeps
text.py      a datagram for people
capture.py   packets out of pcap and pcapng files
"""
