"""Experiments in a running lab: drivers, witnesses and cores joined, a result given back."""
