"""The commands ``op-coverage`` and ``can-run``: options in, exit code out; heavy imports wait until they run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from sweeps.coverage.options import CanRun, OperationCoverage


def op_coverage(options: OperationCoverage) -> int:
    """Run or resume a coverage sweep."""
    from sweeps.coverage.session import run_coverage

    return run_coverage(options, ["accelsweep", *sys.argv[1:]])


def can_run(options: CanRun) -> int:
    """Tell which operations of a model are missing."""
    from sweeps.coverage.can_run import run_can_run

    return run_can_run(options)


COVERAGE_TOOLS: dict[str, tuple[type[Any], Callable[[Any], int]]] = {
    "op-coverage": (OperationCoverage, op_coverage),
    "can-run": (CanRun, can_run),
}
