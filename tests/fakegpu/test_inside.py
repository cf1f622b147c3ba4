"""Starts a process per kind of fake accelerator, and in it the tests of ``inside``: no other test is to find one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.fakegpu import HERE, environment
from tests.fakegpu.build import why_not

REASON = why_not()


@pytest.mark.slow
@pytest.mark.skipif(REASON is not None, reason=str(REASON))
@pytest.mark.parametrize("kind", ["unified", "discrete"])
def test_every_test_inside_passes_on(kind: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", str(HERE / "inside")]
    ended = subprocess.run(
        command, cwd=HERE.parent.parent, capture_output=True, text=True, check=False, env=environment(kind)
    )
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
