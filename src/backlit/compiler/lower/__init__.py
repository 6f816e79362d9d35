"""From a graph to kernels: which nodes are only views, which are computed together, and in what memory."""
