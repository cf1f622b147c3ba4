"""What a service pays before its first answer: the first step in fresh processes, compiled anew, again, or loaded."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeps.cell.own_process import FIRST_STEP, OwnProcess, ProcessEndedError
from sweeps.plan.cell_options import code_sent
from sweeps.plan.config import TrialConfig
from workloads.runtime.ahead import ARTEFACT
from workloads.runtime.words import in_short


def start_columns(cell: TrialConfig, n_threads: int, variables: Mapping[str, str]) -> dict[str, Any]:
    """Columns of the trials table, of a network that is compiled ahead of time.

    The first process finds nothing that a compiler keeps; the second what the first one kept, but not its artefact; the
    third that artefact alone.

    Args:
        cell: Compiled ahead of time.
        n_threads: As it was measured with.
        variables: That its process was started with.
    """
    with tempfile.TemporaryDirectory(prefix="accelsweep-") as folder:
        caches, artefact = Path(folder, "caches"), Path(folder, "first.pt2")
        plan = (
            ("start_cold_s", caches, artefact), ("start_warm_s", caches, Path(folder, "second.pt2")),
            ("start_loaded_s", Path(folder, "none"), artefact),
        )  # fmt: skip
        code = code_sent(cell.model, cell.options)
        columns: dict[str, Any] = {}
        for name, kept, file in plan:
            own = {"TORCHINDUCTOR_CACHE_DIR": str(kept / "inductor"), "TRITON_CACHE_DIR": str(kept / "triton")}
            process = OwnProcess({**variables, **own, ARTEFACT: str(file)})
            try:
                told = process.ask(FIRST_STEP, cell=cell, n_threads=n_threads, code=code)
            except ProcessEndedError as error:
                told = str(error)
            finally:
                process.end()
            if isinstance(told, str):
                return {**columns, "start_reason": in_short(told)}
            columns[name] = told
        return {**columns, "artefact_bytes": artefact.stat().st_size if artefact.is_file() else None}
