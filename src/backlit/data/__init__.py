"""Datasets by name, their division, transforms fitted on the training part, and minibatches."""

from .batches import batches
from .dataset import Dataset, Part, split
from .idx import read_idx
from .sources import find_mnist, load
from .transforms import Standardize

__all__ = ["Dataset", "Part", "Standardize", "batches", "find_mnist", "load", "read_idx", "split"]
