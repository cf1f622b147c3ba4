"""A sweep from Python or a notebook: the command line's options as arguments, its rows as a frame. Light to import."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

Value = str | int | float | Path
Option = Value | Iterable[Value] | None


def sweep(
    workload: str,
    *,
    model: str | Sequence[str] | None = None,
    device: str | Sequence[str] | None = None,
    batch_size: int | str | Sequence[int | str] | None = None,
    precision: str | Sequence[str] | None = None,
    memory_format: str | Sequence[str] | None = None,
    compile: str | Sequence[str] | None = None,
    threads: int | str | Sequence[int] | None = None,
    **options: Option,
) -> pd.DataFrame:
    """Run a sweep as ``accelsweep WORKLOAD`` does, and return its rows.

    It prints what the command prints, keeps the same files and writes the same report. Processes that measure are Ray's
    own: they do not run the script or notebook that calls this, which needs no ``if __name__ == "__main__"``.

    Args:
        workload: ``inference``, ``finetune``, ``image-processing`` or the name of an installed one.
        model: Names of models; the user's own is ``path/to/net.py:build`` or ``package.module:build``.
        device: Devices to measure, such as ``cpu``; by default every one that this machine has.
        batch_size: Items per step; ``auto`` finds them.
        precision: Such as ``fp32`` and ``bf16``.
        memory_format: ``contiguous``, ``channels_last``.
        compile: Modes of torch.compile, ``none`` for none.
        threads: CPU threads of cells on the CPU.
        options: Any other option of ``accelsweep WORKLOAD --help``, with ``_`` for ``-``: ``output="my-results"``,
            ``min_rounds=3``, ``report=False``, ``scenario=["offline"]``. None stands for the default.

    Returns:
        The trials table, one row a cell, whose columns ``accelsweep schema`` lists; ``frame.attrs["folder"]`` is where
        the sweep is kept. With ``dry_run=True`` the cells that would be measured.

    Raises:
        ValueError: With the command line's message, for what it would not take.
        RuntimeError: Nothing was measured, as what was printed says, or this process uses Ray already.
        KeyboardInterrupt: After Ctrl-C; everything measured is kept.
    """
    from sweeps.commands import run_workload
    from sweeps.text import one_line
    from workloads.base import BadInputError
    from workloads.registry import workload_names

    if workload not in (allowed := workload_names()):
        raise ValueError(f"unknown workload {workload!r}; allowed: {', '.join(allowed)}")
    if getattr(sys.modules.get("ray"), "is_initialized", bool)():
        raise RuntimeError("this process uses Ray already, and a sweep starts its own: call ray.shutdown() first")
    named = {
        "model": model, "device": device, "batch_size": batch_size, "precision": precision,
        "memory_format": memory_format, "compile": compile, "threads": threads,
    }  # fmt: skip
    words = [word for name, value in {**named, **options}.items() for word in _words(name, value)]
    try:
        ended = run_workload(workload, words)
    except BadInputError as error:
        raise ValueError(one_line(error)) from error
    except SystemExit as error:
        raise ValueError(f"help is for the command line: accelsweep {workload} --help") from error
    if ended.is_interrupted:
        raise KeyboardInterrupt
    return _frame(ended.folder, ended.planned)


def _words(name: str, value: Option | bool) -> list[str]:
    """An argument as words of a command line."""
    option = f"--{name.replace('_', '-')}"
    if value is None:
        return []
    if isinstance(value, bool):
        return [option if value else f"--no-{option[2:]}"]
    if isinstance(value, (str, os.PathLike)) or not isinstance(value, Iterable):
        return [option, str(value)]
    return [option, *map(str, value)]


def _frame(folder: Path | None, planned: Sequence[dict[str, object]]) -> pd.DataFrame:
    import pandas as pd

    from analysis.read.sweep import AnalysisError, load_sweep

    if folder is None:
        return pd.DataFrame(planned)
    try:
        frame = load_sweep(folder)
        if frame.empty:
            raise AnalysisError(f"{folder} has no rows")
    except AnalysisError as error:
        raise RuntimeError(f"nothing was measured; what was printed says why ({error})") from error
    frame.attrs["folder"] = str(folder)
    return frame
