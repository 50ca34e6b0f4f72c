#!/bin/sh
# netlab.cli in the environment that this package brings along; -P: not from the current directory.
exec /usr/lib/netlab-lab/bin/python3 -P -m netlab "$@"
