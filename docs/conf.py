"""How the documentation is built: pages whose code is run, the reference made from the registry, no network."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import backlit

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
os.environ.setdefault("MPLBACKEND", "agg")

project = "Backlit"
author = "The Backlit authors"
copyright = "2026, the Backlit authors"
version = release = backlit.__version__

extensions = ["myst_nb", "registry", "explored"]
exclude_patterns = ["_build", "_ext"]
templates_path: list[str] = []

# Every code cell runs when the page is built; one that fails, fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_show_tb = True
nb_merge_streams = True
nb_render_markdown_format = "myst"  # tables that cells write
# Tensors as they print in a terminal, with dtype and origin; pictures and prose as such.
nb_mime_priority_overrides = [
    ("*", "image/png", 0),
    ("*", "image/svg+xml", 0),
    ("*", "text/markdown", 1),
    ("*", "text/plain", 2),
]
myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "Backlit"
html_static_path = ["_static"]
html_css_files = ["backlit.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
default_role = "code"
# Two classes are named Optimizer; an annotation leads to the first, that of backlit.optim.
suppress_warnings = ["ref.python"]
pygments_style = "friendly"
pygments_dark_style = "monokai"
