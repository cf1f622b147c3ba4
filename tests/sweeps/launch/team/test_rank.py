"""A process of a cell, before it has a cell."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import sweeps.cell.cell_run  # noqa: F401  # which a worker imports next, and takes longer than what is ahead
from sweeps.launch.cell_actor import CellActor
from sweeps.launch.team.rank import Rank
from workloads.runtime.late import begin_importing


@pytest.mark.parametrize("begin", [lambda: Rank(0, 2, 0, b""), lambda: CellActor({})], ids=["rank", "worker"])
def test_it_imports_nothing_beside_what_is_imported_ahead(
    begin: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads that import torch's parts in another order are a deadlock for Python, and the process is lost."""
    (tmp_path / "slow_to_import_ahead.py").write_text("import time; time.sleep(0.2); is_done = True")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "slow_to_import_ahead", raising=False)
    begin_importing(["slow_to_import_ahead"])
    with contextlib.suppress(KeyError):  # a worker asks for a cell, of which there is none
        begin()
    assert sys.modules["slow_to_import_ahead"].is_done
