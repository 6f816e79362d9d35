"""Kernels: pieces of a plan, each of which writes one native function."""
