"""What a worker of Ray runs: Ray's own script of workers, and beside it the import of what a cell needs.

The first worker starts with Ray's servers, so that torch is there soon after Ray is. Runs as
``worker_process.py RAYS_SCRIPT [its arguments]``.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import runpy
import sys
import threading
from pathlib import Path

AHEAD = "ACCELSWEEP_AHEAD"
"""Names the modules to import, with spaces between them."""
WORKER_SCRIPT = Path(__file__).resolve()


def import_ahead(names: list[str], root: str) -> None:
    """Import modules of ours that import no Ray, and what they import late; what fails is told by the cell it fails."""
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    with contextlib.suppress(Exception):
        importlib.import_module("workloads.runtime.late").import_all()
    sys.path.remove(root)


if __name__ == "__main__":
    script, here, root = sys.argv[1], str(WORKER_SCRIPT.parent), str(WORKER_SCRIPT.parent.parent.parent)
    # This folder's files are no top-level modules (Ray may start workers so that they are none anyway).
    sys.path[:] = [os.path.dirname(script) if entry == here else entry for entry in sys.path]
    sys.path.insert(0, root)  # Ray says where workers find our modules, but not yet
    import ray  # noqa: F401  # first: Ray is not up before its first worker is; the rest goes on beside Ray's script

    names = os.environ.get(AHEAD, "").split()
    threading.Thread(target=import_ahead, args=(names, root), daemon=True, name="accelsweep-import-ahead").start()
    del sys.argv[0]
    runpy.run_path(script, run_name="__main__")
