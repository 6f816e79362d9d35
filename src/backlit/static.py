"""`backlit.static`, the static mode under the name users know it by; it lives in `modes/static`."""

from .modes.static import *  # noqa: F403
from .modes.static import __all__, __doc__  # noqa: F401
