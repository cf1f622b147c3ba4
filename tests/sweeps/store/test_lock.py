"""Two processes and one sweep: the second is told who holds it; a holder that was killed is in nobody's way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sweeps.store.lock import HOLDER, sweep_lock
from sweeps.store.store import claim_folder
from tests.sweeps.conftest import ROOT
from workloads.base import BadInputError

HOLD = """
import sys, time
from pathlib import Path
from sweeps.store.lock import sweep_lock
with sweep_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_the_second_is_told_who_holds_it_and_a_killed_holder_is_not_in_the_way(holder, tmp_path: Path) -> None:
    told = rf"{tmp_path.name}' is being run by process {holder.pid} on {os.uname().nodename} since 20\d\d-"
    with pytest.raises(BadInputError, match=told), sweep_lock(tmp_path):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / HOLDER).exists(), "what the killed holder left"
    with sweep_lock(tmp_path):
        assert str(os.getpid()) in (tmp_path / HOLDER).read_text()
    assert not (tmp_path / HOLDER).exists(), "the host's name stays only while it is of use"


def test_sweeps_that_start_in_the_same_second_get_folders_of_their_own(tmp_path: Path) -> None:
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(claim_folder("finetune", tmp_path))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(folders)) == 16
    assert all(folder.is_dir() for folder in folders)
