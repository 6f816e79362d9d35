"""Native plans: a graph is rewritten by passes, cut into kernels, and run as machine code."""
