"""PURE but for ``watch``: from evidence to the fate of every packet.

packet.py       octets -> a view, and the content key that survives a NAT
passage.py      nft's messages -> a packet's passage through the rules of a node
follow.py       frames, passages and drops in order of time -> tracks   (room.py, track.py)
bindings.py     conntrack's events -> how flows are translated, and which are gone
judge.py        a track -> its end, by whoever saw it                   (answers.py, counters.py)
changes.py      what happened to a header between two places, in tracebox's notation
join.py         all of it: evidence -> fates
disposition.py  the closed vocabulary of ends
fates.py        the result: to be asked, printed, compared
explain.py      the answer in one sentence
predict.py      the same question asked of the plan, without a packet
                (nodes.py, ruleset.py and wired.py: what nodes, rules and boxes would do)
surroundings.py where all this happens, from a lab's plan
watch.py        watch a running lab for the length of a ``with`` block

Nothing is guessed as fact: what no witness saw is ``inferred`` or ``unknown``, and fates are
``complete`` only if every witness was there and none lost anything.
"""
