"""TCP without I/O, to be read beside RFC 9293."""
