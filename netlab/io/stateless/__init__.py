"""The stateless TCP server in the world.

bpf.py       which segments the kernel lets through
ports.py     packet socket and TUN, with and without offload
server.py    core, port and application joined in an asyncio loop
backends.py  what gives the answers: a text, files, an HTTP server, a DNS resolver
"""
