"""The program between two interfaces of a link: packet sockets, and what its boxes report."""
