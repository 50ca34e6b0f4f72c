"""Raw sockets for HDP: client, server, flood, latency, the sweep over all protocol numbers."""
