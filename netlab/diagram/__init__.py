"""Drawings of a lab and of what happened in it. Pure: values in, text out."""
