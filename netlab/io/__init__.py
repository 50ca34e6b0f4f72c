"""The cores joined to the world: sockets, clocks, loops. Nothing here decides, it carries."""
