"""Pooling as layers, over one, two or three spatial axes."""

from __future__ import annotations

from .function import Function


class MaxPool1d(Function):
    applies = "max_pool1d"


class MaxPool2d(Function):
    applies = "max_pool2d"


class MaxPool3d(Function):
    applies = "max_pool3d"


class AvgPool1d(Function):
    applies = "avg_pool1d"


class AvgPool2d(Function):
    applies = "avg_pool2d"


class AvgPool3d(Function):
    applies = "avg_pool3d"


class GlobalAvgPool(Function):
    applies = "global_avg_pool"


class GlobalMaxPool(Function):
    applies = "global_max_pool"


class AdaptiveAvgPool(Function):
    applies = "adaptive_avg_pool"


class AdaptiveMaxPool(Function):
    applies = "adaptive_max_pool"
