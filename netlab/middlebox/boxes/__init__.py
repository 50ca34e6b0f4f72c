"""Kinds that need a program: classes over packets, for a link."""
