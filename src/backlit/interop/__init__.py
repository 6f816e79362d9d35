"""Other frameworks beside this one: what a graph gives when PyTorch, JAX or TensorFlow runs it."""
