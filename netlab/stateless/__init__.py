"""PURE: a TCP server that remembers nothing: every segment in gives segments out.

Theory of operation. An ordinary server keeps a block of memory for each connection: which octets
came, which were acknowledged, what must be sent again. But a client repeats almost all of that in
each segment: its addresses and ports name the connection, SEG.SEQ says what it has sent, SEG.ACK
what it has received. A request that fits into one segment can therefore be answered from that
segment alone, as a UDP server answers a datagram:

    SYN              ->  SYN+ACK, the initial sequence number a keyed hash of the addresses
    a whole request  ->  ACK, answer and FIN as one burst, all of it within the client's window
    FIN              ->  ACK
    anything else    ->  nothing

What goes wrong is mended by the client, which does keep state: a segment that is not answered is
not acknowledged either, so the client's retransmission timer brings it again, often joined with
what followed it. Nobody mends a lost answer, unless ``Rules.withhold`` leaves the request
unacknowledged until the client closes.
"""
