"""The computational graph: op records, nodes, Tensors, and the one function (`bind`) that joins them."""
