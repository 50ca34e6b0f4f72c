"""The drawing of a topology, from what is shown to where it stands to how it looks.

portrait    what a drawing shows of a topology
layers      which column a node stands in
layout      where everything stands, in pixels or in characters
svg, text   a picture of that layout
dot, mermaid    the portrait in the languages of other tools, which place it themselves
"""
