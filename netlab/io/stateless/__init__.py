"""The stateless TCP server in the world."""
