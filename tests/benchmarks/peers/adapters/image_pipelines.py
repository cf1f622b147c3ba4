"""Image pipelines by torchvision, by kornia and fused, in turns in this process, which has kornia in an environment of its own.

The request comes as JSON on standard input; a JSON line for each tool of each pipeline leaves on standard output.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parents[4]))

import kornia_pipelines as theirs
import numpy as np
import torch
import torchvision

from sweeps.measure.device.device import device_name, driver_version, open_device
from sweeps.measure.timing.clock import Timer, choose_steps_per_sample, warm_up
from workloads.base import CellContext
from workloads.pipelines import composed
from workloads.pipelines.compared import HEIGHT, WIDTH
from workloads.precision import apply_precision
from workloads.registry import load_workload

OURS = {"torchvision": "eager", "torchvision, compiled": "compiled", "accelsweep, fused": "fused"}
"""Tools by name, with the implementation that runs them here."""
Step = Callable[[], torch.Tensor]


def our_step(pipeline: str, implementation: str, device: torch.device, batch_size: int) -> tuple[Step, Any]:
    kind = load_workload("image-processing")
    options = kind.Options(pipeline=(pipeline,), implementation=(implementation,))
    workload: Any = kind(CellContext(device=device, batch_size=batch_size, precision="fp32", options=options))
    workload.setup()
    batch = workload.host_batch().to(device)
    return lambda: workload.compute(batch), workload


def their_steps(pipeline: str, batch: torch.Tensor, p: composed.Parameters) -> dict[str, Step]:
    def step(run: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        with torch.inference_mode():
            return run(batch)

    asked = (p, batch.device, (HEIGHT, WIDTH))
    run = theirs.PIPELINES[pipeline](*asked)
    compiled = torch.compile(run, dynamic=False)
    others = {name: made(*asked) for name, made in theirs.OTHERS.get(pipeline, {}).items()}
    runs = {"kornia": run, "kornia, compiled": compiled, **others}
    return {name: (lambda run=run: step(run)) for name, run in runs.items()}


def in_turns(steps: dict[str, Step], timer: Timer, n_rounds: int, round_s: float) -> dict[str, Any]:
    """Of each step the median seconds of each round, in turns whose order is drawn anew; or why it does not run."""
    order, sizes, found = np.random.default_rng(0), dict[str, int](), dict[str, Any]()
    for name, step in steps.items():
        try:
            sizes[name] = choose_steps_per_sample(warm_up(step, timer, max_s=1.0).seconds[-1], timer.overhead_s)
            found[name] = []
        except Exception as error:  # what a tool says of its own is a row
            found[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
    for _ in range(n_rounds):
        for name in order.permutation(list(sizes)):
            samples: list[float] = []
            while sum(samples) * sizes[name] < round_s or len(samples) < 2:
                samples.append(timer.time(steps[name], sizes[name]) / sizes[name])
            found[name].append(float(np.median(samples)))
    return found


def off_by(step: Step, reference: torch.Tensor) -> float | None:
    """The largest difference from torchvision's answer on the CPU, over its largest value; None of another shape."""
    answer = step().float().cpu()
    return float((answer - reference).abs().max() / reference.abs().max()) if answer.shape == reference.shape else None


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    torch.set_num_threads(request["n_threads"])
    device = open_device(request["device"])
    apply_precision("fp32")
    timer, batch_size = Timer(device), request["batch_size"]
    facts = {
        "device": request["device"], "device_name": device_name(device), "driver": driver_version(device),
        "batch_size": batch_size, "n_threads": request["n_threads"], "torch": torch.__version__,
        "torchvision": torchvision.__version__, "kornia": theirs.VERSION(), "python": sys.version.split()[0],
    }  # fmt: skip
    for pipeline in request["pipelines"]:
        made = {name: our_step(pipeline, how, device, batch_size) for name, how in OURS.items()}
        batch, parameters = made["torchvision"][1]._batch, made["torchvision"][1]._parameters
        reference = composed.PIPELINES[pipeline](batch.cpu(), parameters, torch.float32)
        steps = {name: step for name, (step, _) in made.items()} | their_steps(pipeline, batch, parameters)
        torch.manual_seed(0)
        for name, seconds in in_turns(steps, timer, request["n_rounds"], request["round_s"]).items():
            is_drawn = name in theirs.OTHERS.get(pipeline, {})
            told: dict[str, Any] = {"error": seconds} if isinstance(seconds, str) else {
                "seconds": seconds, "off_by": None if is_drawn else off_by(steps[name], reference)
            }  # fmt: skip
            print(json.dumps({**facts, "pipeline": pipeline, "tool": name, **told}), file=answers)
        for _, workload in made.values():
            workload.teardown()


if __name__ == "__main__":
    main()
