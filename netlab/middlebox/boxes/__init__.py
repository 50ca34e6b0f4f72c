"""Kinds that need a program: classes over packets, for a link.

link      delay, jitter, rate, loss, duplication, reordering, each way
sequence  sequence numbers shifted; holes not passed; data acknowledged early
segments  data split, joined or replaced; what that does to the numbers behind it
options   TCP options removed or added, with the header's length
errors    ICMP errors that quote less; resets on a payload
"""
