"""Running the command as a user does, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def accelsweep(tmp_path: Path) -> Run:
    """``accelsweep(ARGUMENTS...)`` runs the script from another folder, without a terminal."""

    def run(*arguments: str, timeout_s: float = 240, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "sweeps" / "run.py"), *arguments],
            cwd=tmp_path, capture_output=True, text=True, timeout=timeout_s, check=False,
            env={**os.environ, **environment},
        )  # fmt: skip

    return run
