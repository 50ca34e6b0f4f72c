"""PURE: HDP, an unregistered transport protocol, and the fate of each IP protocol number."""
