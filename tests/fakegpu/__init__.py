"""An accelerator for PyTorch that computes on the CPU and behaves like an Apple GPU; README.md beside this says how far.

torch loads it by itself where ``AUTOLOAD`` is on the module path (entry point ``torch.backends``), as it does the
backends of other packages.
"""

from __future__ import annotations

import os
from pathlib import Path

NAME = "fakegpu"
HERE = Path(__file__).parent
AUTOLOAD = HERE / "autoload"
KIND = "FAKEGPU"
"""The environment variable that says which device it is: ``discrete``, or by default one like Apple's."""
MEMORY = "FAKEGPU_BYTES"
"""What an Apple GPU recommends as the most, or all that a discrete one has."""
DEFAULT_BYTES = 2**30


def environment(kind: str = "unified", **more: str) -> dict[str, str]:
    """This process's environment with the device in it, for processes to be started."""
    path = [str(AUTOLOAD), str(HERE.parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), KIND: kind, **more}
