"""The small datasets that come with scikit-learn: nothing is downloaded."""

from __future__ import annotations

import numpy as np

from ..base.extras import require
from .dataset import Dataset
from .splits import divided


def digits() -> Dataset:
    """1,797 handwritten digits of 8 x 8 pixels, values 0 to 16 (Alpaydin & Kaynak 1998)."""
    found = require("sklearn.datasets", "data").load_digits()
    classes = tuple("0123456789")
    return divided("digits", found.images.astype(np.uint8), found.target.astype(np.int64), classes, "scikit-learn")


def iris() -> Dataset:
    """150 flowers of three kinds by the lengths and widths of their leaves, in cm (Fisher 1936)."""
    return _table("iris")


def wine() -> Dataset:
    """178 wines from three growers by 13 chemical measurements (Aeberhard & Forina 1992)."""
    return _table("wine")


def breast_cancer() -> Dataset:
    """569 tumours, malignant or benign, by 30 measurements of their cells (Wolberg et al. 1995)."""
    return _table("breast_cancer")


def diabetes() -> Dataset:
    """442 patients by 10 measurements, and how far their diabetes went in a year: regression (Efron et al. 2004)."""
    return _table("diabetes")


def _table(name: str) -> Dataset:
    found = getattr(require("sklearn.datasets", "data"), f"load_{name}")()
    classes = tuple(map(str, found.get("target_names", ())))
    y = found.target.astype(np.int64 if classes else np.float32)
    return divided(name.replace("_", "-"), found.data.astype(np.float32), y, classes, "scikit-learn")
