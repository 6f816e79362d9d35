"""Datasets by name, their division, transforms fitted on the training part, and loaders of batches."""

from .batches import batches
from .dataset import Dataset, Part
from .idx import read_idx
from .loader import Loader
from .sources import find_mnist, load
from .splits import split
from .transform import Transform
from .transforms import Standardize

__all__ = [
    "Dataset", "Loader", "Part", "Standardize", "Transform", "batches", "find_mnist", "load", "read_idx", "split",
]  # fmt: skip
