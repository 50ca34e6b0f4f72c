"""Collectors of packet evidence; none knows of another, none draws a conclusion.

Every one of them may be missing or lose something; that is evidence too (``Gap``).
"""
