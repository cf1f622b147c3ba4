"""What a new sweep begins with: its command line checked, then Ray and the question for devices, side by side.

All of it is done before anything heavy is imported, so that a mistake is told at once and the rest waits for nobody.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from sweeps.launch.ray_start import RayHere, RayOptions, ray_here
from sweeps.measure.device.here import begin_asking, known_at_once
from sweeps.plan.from_options import build_config, check_address
from sweeps.plan.search import Range
from workloads.base import Workload
from workloads.registry import module_of

RAY_NEEDS, TUNE_NEEDS, WE_NEED = "jsonschema requests", "pandas fsspec rich.layout", "scipy.optimize"
"""What takes longest of what they import and is not theirs, in one line each: Ray's own may not be imported by two
threads side by side, nor before Ray has set the environment that it reads."""
_SPLIT_BY = {"workloads.finetune": "scipy.stats"}
"""By module, what scikit-learn imports, which tells apart what is trained on and what is held out."""


def imported_ahead(workload: str) -> tuple[str, ...]:
    """What a worker imports, the first one while Ray starts, in a thread each: what measures, what that and Ray need.

    Of a third party's workload nothing more is known; torchvision takes as long as torch, and need not be its.
    """
    module = module_of(workload)
    ours = "workloads.runtime.lean_torchvision" if module.startswith("workloads.") else ""
    return (f"{module} sweeps.cell.cell_run {ours}".strip(), f"{RAY_NEEDS} {_SPLIT_BY.get(module, WE_NEED)}")


@contextlib.contextmanager
def begun(workload: type[Workload], options: Any, ranges: Mapping[str, Range]) -> Iterator[RayHere | None]:
    """Ray being started for a new sweep on this machine; None where that can wait, as what is missing must be found.

    Raises:
        BadInputError: With the option, the value given and what is allowed, before anything is started.
    """
    common = options.sweep
    check_address(common)
    if common.address or common.resume or common.dry_run:
        yield None
        return
    known = known_at_once()
    build_config(workload, options, tuple(known or common.device or ("cpu",)), ranges)
    begin_asking()
    sys.stdout.write(f"starting Ray{'' if known else ', and asking PyTorch which devices there are'} ...\n")
    sys.stdout.flush()
    with ray_here(RayOptions(verbose=common.verbose, ahead=imported_ahead(workload.name))) as here:
        yield here
