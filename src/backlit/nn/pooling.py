"""Pooling as layers, over one, two or three spatial axes."""

from __future__ import annotations

from .function import Function


class MaxPool1d(Function):
    op = "max_pool1d"


class MaxPool2d(Function):
    op = "max_pool2d"


class MaxPool3d(Function):
    op = "max_pool3d"


class AvgPool1d(Function):
    op = "avg_pool1d"


class AvgPool2d(Function):
    op = "avg_pool2d"


class AvgPool3d(Function):
    op = "avg_pool3d"


class GlobalAvgPool(Function):
    op = "global_avg_pool"


class GlobalMaxPool(Function):
    op = "global_max_pool"


class AdaptiveAvgPool(Function):
    op = "adaptive_avg_pool"


class AdaptiveMaxPool(Function):
    op = "adaptive_max_pool"
