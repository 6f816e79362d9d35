"""Datasets by name, readers of files, division, transforms fitted on the training part, and loaders of batches."""

from .augment import Crop, Flip, Noise, Shift
from .dataset import Dataset, Part
from .idx import read_idx
from .loader import Loader
from .npz import read_npy, read_npz
from .opening import open
from .pictures import Pictures, read_image, read_images
from .sources import find, load, names
from .splits import divided, split
from .tables import Table, read_csv, read_parquet
from .text import read_text, text_dataset
from .transform import Transform, restore
from .transforms import Compose, Flatten, Normalize, OneHot, Standardize

__all__ = [
    "Compose", "Crop", "Dataset", "Flatten", "Flip", "Loader", "Noise", "Normalize", "OneHot", "Part", "Pictures",
    "Shift", "Standardize", "Table", "Transform", "divided", "find", "load", "names", "open", "read_csv",
    "read_idx", "read_image", "read_images", "read_npy", "read_npz", "read_parquet", "read_text", "restore", "split",
    "text_dataset",
]  # fmt: skip
