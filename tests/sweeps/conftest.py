"""Running the command as a user does, in a process of its own, or in this one on a Ray that tests share."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sweeps.shared_ray import share

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


@pytest.fixture(scope="session")
def started_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Ray, started as a sweep starts it, until this test process ends; a folder that its workers import from."""
    from sweeps.launch.ray_session import ray_session
    from sweeps.launch.ray_start import RayOptions, RayStart

    site = tmp_path_factory.mktemp("site")
    with contextlib.ExitStack() as held:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]))
            start = held.enter_context(RayStart(RayOptions()))
            held.enter_context(ray_session(start))
        yield site


@pytest.fixture
def shared_ray(started_ray: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``main`` in this process runs its sweeps on one Ray, whose start takes longer than most of them.

    For tests that end nothing of Ray and need nothing of its start, all in one group of pytest-xdist, so that one worker
    gets them: ``@pytest.mark.xdist_group("ray")``. The working folder is ``tmp_path``.

    Returns:
        A folder to install packages into that both sides import from.
    """
    share(monkeypatch)
    monkeypatch.syspath_prepend(started_ray)
    monkeypatch.chdir(tmp_path)
    return started_ray
