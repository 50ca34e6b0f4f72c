"""PURE: from the text of a topology file to a checked, frozen model.

source.py      YAML text -> tree of values that know their line and column
schema.py      the file's form: keys, types, short forms (and the JSON Schema)
addressing.py  subnets, addresses, MAC addresses
routing.py     shortest paths over the graph -> routes, neighbours
resolve.py     all of it together: file -> Topology or every problem at once
model.py       the result
"""
