"""Loss: how it is found, how fast it is repaired, and how a false alarm is taken back.

``scoreboard`` finds losses by counting what arrived above them (RFC 6675, and 6582 without SACK),
``rack`` by the time that has passed (RFC 8985), ``tail_loss_probe`` where nothing comes back at
all. ``episode`` is one recovery from its discovery to its end; in it ``prr`` says how much may go
for what arrived (RFC 6937), ``undo`` and ``frto`` whether there was a loss at all (RFC 3522, 3708,
5682).
"""
