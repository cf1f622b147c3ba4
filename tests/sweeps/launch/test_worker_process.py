"""The first worker: what it imports ahead, and that it is Ray's own worker all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sweeps.launch.worker_process import AHEAD, WORKER_SCRIPT

SCRIPT = """
import sys, threading, time
[thread.join(60) for thread in threading.enumerate() if thread.name == "accelsweep-import-ahead"]
print(sys.argv[1:], "torch" in sys.modules, "sweeps.cell.cell_run" in sys.modules, "leftovers" in sys.modules)
try:
    import leftovers
except ImportError:
    print("no module of ours is at the top")
"""


def run(tmp_path: Path, ahead: str) -> str:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(WORKER_SCRIPT), str(script), "--node=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "", AHEAD: ahead}, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_goes_on_as_the_script_it_is_given_with_modules_imported(tmp_path: Path) -> None:
    told = run(tmp_path, "workloads.inference sweeps.cell.cell_run")
    assert told == "['--node=1'] True True False\nno module of ours is at the top\n"


def test_what_cannot_be_imported_ahead_ends_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, "no.such.module").startswith("['--node=1'] ")
