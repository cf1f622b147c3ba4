"""A disk that fills up, and a results folder that becomes read-only, on a real file system of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sweeps.whole.driving import kept
from tests.sweeps.whole.faulty.faults import Faulted

SIZE_KB = 320
N_CELLS = 24


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few hundred kilobytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root mounts a file system")
    try:
        mount("-t", "tmpfs", "-o", f"size={SIZE_KB}k", "accelsweep-test", str(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def make_read_only(sweep: Path, *, on: bool) -> None:
    """No file can be made in the sweep's folders, by root neither; those that are open stay open."""
    folders = [sweep, *(sweep / table for table in ("trials", "samples", "rounds"))]
    subprocess.run(["chattr", "+i" if on else "-i", *map(str, folders)], check=True, capture_output=True)


def ended_well(sweep: Faulted, reason: str) -> None:
    """One sentence, no traceback, nobody left, nothing half written."""
    assert "Traceback" not in sweep.said, sweep.said
    assert sweep.said.count("ended early") == 1, sweep.said
    (line,) = [line for line in sweep.said.splitlines() if line.startswith("ended early")]
    assert reason in line
    assert f"--resume {sweep.sweep.name}" in line
    assert not sweep.orphans()
    assert not list(sweep.sweep.glob("*/.*.tmp"))


@pytest.mark.slow
def test_a_full_disk_and_a_folder_made_read_only_end_the_sweep_and_lose_nothing(
    small_disk: Path, tmp_path: Path
) -> None:
    sweep = Faulted(tmp_path, "--cell", *(str(i) for i in range(N_CELLS)), output=small_disk / "out")
    assert sweep.run() == 1, sweep.said
    ended_well(sweep, "No space left on device")
    first = sweep.rows()
    assert 0 < len(first) < N_CELLS

    mount("-o", f"remount,size={8 * SIZE_KB}k", str(small_disk))
    sweep.start()
    sweep.wait_for_rows(len(first) + 2)
    make_read_only(sweep.sweep, on=True)
    assert sweep.wait() == 1, sweep.said
    ended_well(sweep, "Operation not permitted")
    second = sweep.rows()
    assert kept(first, second)
    assert len(first) + 2 <= len(second) < N_CELLS

    assert sweep.run() == 2, "told before anything is started"
    assert sweep.said.count("\n") == 1
    assert "cannot write" in sweep.said

    make_read_only(sweep.sweep, on=False)
    assert sweep.run() == 0, sweep.said
    rows = sweep.rows()
    assert kept(second, rows)
    assert len(rows) == N_CELLS
    assert rows["status"].eq("complete").all()
