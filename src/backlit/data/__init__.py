"""Datasets by name, their division, transforms fitted on the training part, and loaders of batches."""

from .augment import Crop, Flip, Noise, Shift
from .batches import batches
from .dataset import Dataset, Part
from .idx import read_idx
from .loader import Loader
from .sources import find_mnist, load
from .splits import divided, split
from .transform import Transform, restore
from .transforms import Compose, Flatten, Normalize, OneHot, Standardize

__all__ = [
    "Compose", "Crop", "Dataset", "Flatten", "Flip", "Loader", "Noise", "Normalize", "OneHot", "Part", "Shift",
    "Standardize", "Transform", "batches", "divided", "find_mnist", "load", "read_idx", "restore", "split",
]  # fmt: skip
