"""I/O shells of the userspace TCP: asyncio, blocking calls, packetdrill; its TUN device."""
