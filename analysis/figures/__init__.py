"""How figures look: lines with intervals, panels with one legend, colours.

May import ``cells``, ``stats``, ``contract`` and ``text``.
"""

from __future__ import annotations

import contextlib
import os
import sys

if (_backend := os.environ.get("MPLBACKEND")) and "matplotlib" not in sys.modules:
    # A notebook leaves the name of its own backend to the processes it starts. Where that is not installed, the very
    # import of matplotlib fails, although our figures are drawn on a canvas of their own.
    del os.environ["MPLBACKEND"]
    try:
        import matplotlib as mpl
    finally:
        os.environ["MPLBACKEND"] = _backend
    with contextlib.suppress(ValueError):  # whoever shows figures of their own beside ours has chosen it
        mpl.rcParams["backend"] = _backend
