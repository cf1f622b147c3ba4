"""The child process: runs one operation at a time for its parent, over a pipe, in lines of JSON.

``python -m sweeps.coverage.child``. Requests come on standard input, answers go to standard output; what libraries
print there goes to standard error instead. Whatever happens in here costs the operation that runs and no other.
"""

from __future__ import annotations

import faulthandler
import functools
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from workloads.runtime.late import wait_for_imports
from workloads.runtime.words import in_short, shortened

GRACE_S = 30.0
"""A child whose parent has died ends itself this long after the time its operation was given."""
Send = Callable[[dict[str, Any]], None]


def _strict_precision() -> None:
    """Compute float32 in float32: no TF32. Before the operator database is imported, which locks these settings."""
    wait_for_imports("torch")
    import torch

    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    torch.set_warn_always(True)  # a fallback is told once per process otherwise


def _list(request: Mapping[str, Any], send: Send) -> None:
    """Name every operation of some sources, after recording the model zoo unless a recording is given."""
    from workloads.operations.base import load_operations
    from workloads.operations.zoo import record_zoo

    recording, failed = request["recording"], dict[str, str]()
    if recording is None:
        recording, failed = record_zoo(request["models"])
    operations, missing = load_operations(recording, request["sources"])
    listed = [
        {"source": o.source, "name": o.name, "family": o.family, "dtypes": list(o.dtypes)} for o in operations
    ]  # fmt: skip
    send({"event": "listed", "operations": listed, "recording": recording, "failed": failed, "missing": missing})


@functools.cache
def _environment(device_name: str) -> dict[str, Any]:
    from sweeps.measure.device.device import open_device
    from sweeps.measure.device.environment import environment
    from sweeps.store.operation_columns import OPERATIONS

    row = environment(open_device(device_name))
    return {k: v for k, v in row.items() if k in OPERATIONS.names}


def _prepare(request: Mapping[str, Any]) -> tuple[Any, Any]:
    """The operation of a cell and its device."""
    from sweeps.measure.device.device import open_device, set_threads
    from workloads.operations.base import operations_of

    set_threads(request["n_threads"])
    cell = request["cell"]
    operations = {o.name: o for o in operations_of(cell["source"], {cell["operation"]: request["calls"] or []})}
    return operations[cell["operation"]], open_device(cell["device"])


def _import_and_open(request: Mapping[str, Any], send: Send) -> None:
    """Everything that is slow the first time: imports, the operator's source, the device."""
    if request["predicts"]:
        from sweeps.coverage.child import prediction  # noqa: F401

        return
    from sweeps.coverage.child import sizes, verdicts  # noqa: F401

    _prepare(request)
    _environment(request["cell"]["device"])


def _run(request: Mapping[str, Any], send: Send) -> None:
    """Both directions of a cell; each row is sent as soon as it is there."""
    from sweeps.coverage.child.calls import DIRECTIONS
    from sweeps.coverage.child.verdicts import DeviceLostError, run_direction

    operation, device = _prepare(request)
    dtype, max_samples = request["cell"]["dtype"], request["max_samples"]
    for direction in DIRECTIONS:
        send({"event": "began", "direction": direction})
        try:
            row = run_direction(operation, dtype, device, direction, max_samples=max_samples)
        except DeviceLostError as error:
            send({"event": "row", "row": {"direction": direction, "verdict": "crashed", "error_type": "DeviceLostError",
                                          "reason": f"the device was lost: {in_short(str(error), 400)}"}})  # fmt: skip
            sys.stdout.flush()
            os._exit(3)
        if row is not None:
            send({"event": "row", "row": {**_environment(request["cell"]["device"]), **row}})


def _predict(request: Mapping[str, Any], send: Send) -> None:
    """The rows of a cell, predicted; no device is opened."""
    from sweeps.coverage.child.prediction import predict_cell
    from sweeps.measure.device.device import set_threads

    set_threads(request["n_threads"])
    for row in predict_cell(
        request["cell"], request["calls"], max_samples=request["max_samples"], can_fall_back=request["can_fall_back"]
    ):
        send({"event": "row", "row": row})


def _time(request: Mapping[str, Any], send: Send) -> None:
    from sweeps.coverage.child.sizes import time_sizes

    operation, device = _prepare(request)
    try:
        columns = time_sizes(operation, request["cell"]["dtype"], device)
    except Exception as error:  # what is too large for the device is not timed, and that is said
        columns = {"not_timed": in_short(error)}
    send({"event": "row", "row": columns})


def _can_run(request: Mapping[str, Any], send: Send) -> None:
    from sweeps.coverage.child.dispatch import answer_request

    answer_request(request, send)


COMMANDS: dict[str, Callable[[Mapping[str, Any], Send], None]] = {
    "list": _list, "prepare": _import_and_open, "run": _run, "predict": _predict, "time": _time, "can-run": _can_run,
}  # fmt: skip


def main() -> int:
    """Answer requests until their end."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    _strict_precision()
    send({"event": "ready"})
    for line in sys.stdin:
        request = json.loads(line)
        # Its thread runs without Python's lock, so that a loop in C code cannot outlive a dead parent.
        faulthandler.dump_traceback_later(request["timeout_s"] + GRACE_S, exit=True)
        try:
            COMMANDS[request["command"]](request, send)
        except Exception as error:
            send({"event": "error", "type": type(error).__name__, "text": shortened(str(error), 2000)})
        faulthandler.cancel_dump_traceback_later()
        send({"event": "done"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
