"""A sweep's report, which costs the sweep nothing: why there is none is one sentence, whatever the reason."""

from __future__ import annotations

import pkgutil
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from sweeps.text import one_line

_WRITERS = {
    "report": "analysis.recommendation.page:write_report",
    "report_coverage": "analysis.subjects.coverage.page:write_coverage_report",
}


def report_safely(kind: Literal["report", "report_coverage"], folder: Path, tell: Callable[[str], object]) -> None:
    """Write a sweep's report and tell where it is, or why there is none and what writes it.

    Either way it is the sweep that the exit code speaks of.
    """
    try:
        tell(f"report: {pkgutil.resolve_name(_WRITERS[kind])(folder)}")
    except Exception as error:  # a mistake in drawing must not cost an hour's sweep its ending
        from analysis.read.sweep import AnalysisError

        told = one_line(error)
        failure = f"no report: {told if isinstance(error, AnalysisError) else f'{type(error).__name__}: {told}'}"
        tell(f"{failure}; `python analysis/{kind}.py {shlex.quote(str(folder))}` writes it")
