"""A disk that fills up, and a results folder that becomes read-only, on a real file system of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sweeps.session.without_ray import put_loop
from tests.sweeps.whole.driving import kept
from tests.sweeps.whole.faulty.faults import Faulted, install_faulty

SIZE_KB = 320
N_CELLS = 12


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


def ended_well(sweep: Faulted, said: str, reason: str) -> None:
    """One sentence, no traceback, nothing half written."""
    assert "Traceback" not in said, said
    assert said.count("ended early") == 1, said
    (line,) = [line for line in said.splitlines() if line.startswith("ended early")]
    assert reason in line
    assert f"--resume {sweep.sweep.name}" in line
    assert not list(sweep.sweep.glob("*/.*.tmp"))


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_a_full_disk_and_a_folder_made_read_only_end_the_sweep_and_lose_nothing(
    shared_ray: Path,
    small_disk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install_faulty(shared_ray)
    monkeypatch.delitem(sys.modules, "faulty", raising=False)  # another test's, from a folder that is gone
    sweep = Faulted(tmp_path, "--cell", *(str(i) for i in range(N_CELLS)), output=small_disk / "out")
    assert sweep.run_here() == 1
    ended_well(sweep, capsys.readouterr().out, "No space left on device")
    first = sweep.rows()
    assert 0 < len(first) < N_CELLS

    # Ray has nothing to do with what follows: its loop is replaced.
    mount("-o", f"remount,size={32 * SIZE_KB}k", str(small_disk))
    put_loop(monkeypatch, {2: lambda: make_read_only(sweep.sweep, on=True)})
    assert sweep.run_here() == 1
    ended_well(sweep, capsys.readouterr().out, "Operation not permitted")
    second = sweep.rows()
    assert kept(first, second)
    assert len(second) == len(first) + 2

    assert sweep.run_here() == 2, "told before anything is started"
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "cannot write" in told

    make_read_only(sweep.sweep, on=False)
    put_loop(monkeypatch)
    assert sweep.run_here() == 0
    rows = sweep.rows()
    assert kept(second, rows)
    assert len(rows) == N_CELLS
    assert rows["status"].eq("complete").all()
