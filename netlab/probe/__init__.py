"""Experiments in a running lab: drivers, witnesses and cores joined, a result given back.

sweep.py      every protocol number from one node to another, with a verdict for each
witnesses.py  who saw a probe die: the rules' trace, the kernel's drop reasons
latency.py    HDP against UDP, from program to program
"""
