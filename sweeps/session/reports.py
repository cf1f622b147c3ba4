"""A sweep's report, which costs the sweep nothing: why there is none is one sentence, whatever the reason."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from sweeps.text import one_line


def _write(kind: Literal["report", "report_coverage"], folder: Path) -> Path:
    if kind == "report":
        from analysis.recommendation.page import write_report

        return write_report(folder)
    from analysis.subjects.coverage.page import write_coverage_report

    return write_coverage_report(folder)


def report_safely(
    kind: Literal["report", "report_coverage"], folder: Path, tell: Callable[[str], object]
) -> str | None:
    """Write a sweep's report and tell where it is, or why there is none and what writes it.

    Args:
        kind: Of a sweep, or of operations' coverage.
        folder: The sweep's.
        tell: Prints a line.

    Returns:
        Why it could not be written; None if it was.
    """
    try:
        tell(f"report: {_write(kind, folder)}")
    except Exception as error:  # a mistake in drawing must not cost an hour's sweep its ending
        from analysis.read.sweep import AnalysisError

        told = one_line(error)
        failure = f"no report: {told if isinstance(error, AnalysisError) else f'{type(error).__name__}: {told}'}"
        tell(f"{failure}; `python analysis/{kind}.py {shlex.quote(str(folder))}` writes it")
        return failure
    return None
