"""Training: two networks, the loop that trains them, and the files that a run leaves."""

from .files import load_params, save_params, write_whole
from .loop import DivergedError, Epoch, Progress, Stop, Training, confusion
from .models import MODELS, Model

__all__ = [
    "MODELS", "DivergedError", "Epoch", "Model", "Progress", "Stop", "Training", "confusion", "load_params",
    "save_params", "write_whole",
]  # fmt: skip
