"""From kernels to LLVM IR: the writer of functions, and mathematics on vectors."""
