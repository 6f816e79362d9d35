"""Training: epochs of native steps, what happens between them, and the files that they leave."""

from .callbacks import Callback, EarlyStopping, LossLog, ReduceOnPlateau, Timing
from .checkpoints import Checkpoints, latest, written
from .evaluating import Evaluation
from .files import load_arrays, load_values, save_arrays, save_values, write_whole
from .fitting import evaluate, fit, predict
from .history import History
from .logs import CSVLog, JSONLog, TensorBoard
from .progress import Progress
from .rates import RateCurve, find_learning_rate
from .run_folder import RunFolder
from .trainer import DivergedError, Trainer

__all__ = [
    "CSVLog", "Callback", "Checkpoints", "DivergedError", "EarlyStopping", "Evaluation", "History", "JSONLog",
    "LossLog", "Progress", "RateCurve", "ReduceOnPlateau", "RunFolder", "TensorBoard", "Timing", "Trainer", "evaluate",
    "find_learning_rate", "fit", "latest", "load_arrays", "load_values", "predict", "save_arrays", "save_values",
    "write_whole", "written",
]  # fmt: skip
