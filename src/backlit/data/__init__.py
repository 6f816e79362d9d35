"""Datasets by name, their division, transforms fitted on the training part, and loaders of batches."""

from .augment import Crop, Flip, Noise, Shift
from .batches import batches
from .dataset import Dataset, Part
from .idx import read_idx
from .loader import Loader
from .sources import find, load, names
from .splits import divided, split
from .text import read_text, text_dataset
from .transform import Transform, restore
from .transforms import Compose, Flatten, Normalize, OneHot, Standardize

__all__ = [
    "Compose", "Crop", "Dataset", "Flatten", "Flip", "Loader", "Noise", "Normalize", "OneHot", "Part", "Shift",
    "Standardize", "Transform", "batches", "divided", "find", "load", "names", "read_idx", "read_text", "restore",
    "split", "text_dataset",
]  # fmt: skip
