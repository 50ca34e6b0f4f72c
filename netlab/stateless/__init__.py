"""PURE: a TCP server that remembers nothing: every segment in gives segments out.

    module      what it knows
    segment     one TCP segment with its addresses; packets in and out, checksums, cutting
    cookie      the sequence number as a proof of the client's address (RFC 4987 section 3.6)
    exchange    what a server is: a segment in, a reaction out; both servers have this shape
    responder   the rules: SYN, request, FIN; everything else gives nothing
    published   the first such server, to the letter, weaknesses included
    express     the responder's inner loop for the common segments, held equal to it by tests
    bursts      answers longer than a window, their position told by the client's own ACKs
    framing     where a request ends: what http, dns and echo have in common
    http, dns   framing of HTTP/1.1 (RFC 9112) and of DNS over TCP (RFC 1035 section 4.2.2)

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
