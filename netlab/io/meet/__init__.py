"""Two programs that look for each other: the public server's part, and a player of our own."""
