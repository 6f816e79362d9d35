"""For users who write ops, layers or rules of their own: are the derivatives right, is the record right?

`check_grad` compares a function's derivatives with finite differences, `check_op` examines an op's record
from every side, `strategies` draws arrays for Hypothesis, `tolerance` says how close two results must come.
"""

from . import strategies
from .gradcheck import GradientMismatch, check_grad
from .opcheck import check_op
from .saves import OpMismatch
from .tolerances import Tolerance, tolerance

__all__ = ["GradientMismatch", "OpMismatch", "Tolerance", "check_grad", "check_op", "strategies", "tolerance"]
