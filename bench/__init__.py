"""Backlit beside its peers: the same work in the best ordinary form of each, in one run. `python -m bench --help`."""
