"""Other ways to run: the static graph in the manner of TensorFlow 1 (`static`)."""
