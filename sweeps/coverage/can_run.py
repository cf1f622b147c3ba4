"""``accelsweep can-run MODEL``: which operations that a model really dispatches are missing, fall back or are wrong."""

from __future__ import annotations

import contextlib
import difflib
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from rich.console import Console

from analysis.contract.cells import EXIT_FAILED, EXIT_OK
from sweeps.coverage.child.kernels import COMPOSITE, KERNEL, kernels_of
from sweeps.coverage.child_process import ChildError, OperationChild
from sweeps.coverage.evidence import Finding, findings, latest_rows
from sweeps.coverage.options import CanRun
from sweeps.coverage.predicted import devices_to_predict
from sweeps.measure.device.device import available_devices, fallback_environment
from sweeps.measure.device.host import default_threads, usable_cpus
from sweeps.plan.from_options import devices_asked
from sweeps.plan.parsing import parse_duration_s
from sweeps.session.terminal import say
from workloads.base import BadInputError
from workloads.runtime.without_compiler import import_torchvision
from workloads.runtime.words import in_short

MODEL_TIMEOUT_S = 600.0
NO_REASON = "no reason given"
HEADINGS = {
    "unsupported": "missing", "crashed": "crash the process", "timeout": "hang", "wrong": "wrong",
    "fallback": "fall back to the CPU",
}  # fmt: skip


class ModelQuestions:
    """Asks a child about one model, with images of another ``side`` in pixels than its own where one is given."""

    def __init__(self, options: CanRun, child: OperationChild, side: int | None = None) -> None:
        self._options, self._child, self._side = options, child, side
        self._timeout_s = parse_duration_s("operation-timeout", options.operation_timeout)

    def ask(self, question: str, timeout_s: float | None = None, **more: Any) -> dict[str, Any]:
        """One answer.

        Raises:
            ChildError: If it has none; recording the model anew counts as time.
        """
        request = {"command": "can-run", "ask": question, "model": self._options.model, "train": self._options.train,
                   "side": self._side, "n_threads": default_threads(usable_cpus()), **more}  # fmt: skip
        answer, *_ = self._child.ask(request, timeout_s or self._timeout_s)  # all of it, up to its end
        return answer

    def recorded(self) -> list[str]:
        """What the model dispatches; a child replays only what it has recorded itself."""
        operations = list(self.ask("record", MODEL_TIMEOUT_S)["operations"])
        return operations

    def replay(self, operation: str, device: str, dtype: str) -> Finding:
        """Run an operation's calls on the device."""
        if not self._child.is_alive:
            self.recorded()
        try:
            row = self.ask("replay", operation=operation, device=device, dtype=dtype)["row"]
        except ChildError as error:
            verdict = "unsupported" if error.how == "refused" else error.how
            return Finding(verdict=verdict, reason=str(error), source="executed")
        verdict = "supported" if row.get("wrong_by") == "rounding" else row["verdict"]
        return Finding(verdict=verdict, reason=row.get("reason"), source="executed")

    def whole(self, device: str, dtype: str) -> dict[str, Any]:
        """Run the whole model on the device."""
        try:
            return self.ask("whole", MODEL_TIMEOUT_S, device=device, dtype=dtype)
        except ChildError as error:
            told = {"crashed": f"crashed: {error}", "timeout": f"took {error}"}
            return {"runs": False, "reason": told.get(error.how, str(error))}


def schema_name(overload: str) -> str:
    """``aten::add.Tensor`` for ``aten.add.Tensor``, ``aten::relu`` for ``aten.relu.default``: as exceptions name it."""
    package, _, rest = overload.partition(".")
    return f"{package}::{rest.removesuffix('.default')}"


def _check_model(name: str) -> None:
    known = import_torchvision().models.list_models()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=4) or known[:4]
        raise BadInputError(f"MODEL: {name!r} is not in torchvision's zoo; similar names: {', '.join(near)}")


def _tell(console: Console, found: Mapping[str, Finding], whole: Mapping[str, Any]) -> bool:
    """Print what stands in the way and what the whole model did; True if nothing but speed is lost."""
    sources = Counter(f.source for f in found.values())
    told = ", ".join(f"{n} {'known from coverage' if s == 'coverage' else 'executed'}" for s, n in sources.items())
    n_bad = sum(f.verdict in HEADINGS for f in found.values())
    lines = [f"  operations: {len(found)} dispatched ({told}); {len(found) - n_bad} work"]
    for verdict, heading in HEADINGS.items():
        names = {name: f for name, f in found.items() if f.verdict == verdict}
        lines += [f"  {heading}: {len(names)}"] if names else []
        lines += [f"    {name} ({f.source}): {in_short(f.reason or NO_REASON)}" for name, f in names.items()]
    for line in [*lines, f"  the whole model: {whole_told(whole)}"]:
        say(console, line)
    return bool(whole["runs"]) and whole["agrees"] is not False


def whole_told(whole: Mapping[str, Any]) -> str:
    """What the whole model did."""
    if not whole["runs"]:
        return f"does not run: {in_short(whole['reason'] or NO_REASON)}"
    if whole["agrees"] is None:
        return "runs; its outputs differ in shape from the reference's, as their shapes depend on values"
    word = "agrees with" if whole["agrees"] else "DISAGREES with"
    worst = whole["max_rel_diff"]
    off = "NaN or infinity" if worst is None else f"off by {worst:.2g} of its largest value"
    return f"runs and {word} the CPU in {whole['reference']} ({off})"


def _predict(options: CanRun) -> int:
    """Tell for each device what it has of what the model dispatches; 0 if that is all, or the rest falls back.

    Raises:
        BadInputError: For a device that is in no list of kernels, or a model that cannot be recorded.
    """
    devices, console, can = devices_to_predict(options.device), Console(soft_wrap=True), True
    try:
        with contextlib.closing(OperationChild({})) as child:
            names = [schema_name(overload) for overload in ModelQuestions(options, child).recorded()]
    except ChildError as error:
        raise BadInputError(f"MODEL: {options.model!r} cannot be recorded on the CPU: {error}") from error
    for device in devices:
        kernels, can_fall_back = kernels_of(device), bool(fallback_environment(device, allow=True))
        lacking = "no kernel, falls back to the CPU" if can_fall_back else "no kernel"
        words = {KERNEL: "kernel", COMPOSITE: "composite of others"}
        told = {name: words.get(kernels.kind(name), lacking) for name in names}
        counts = ", ".join(f"{n} {what}" for what, n in Counter(told.values()).items())
        say(console, f"{options.model} on {device}: {len(names)} operations; {counts} ({kernels.said})")
        for name, what in sorted(told.items(), key=lambda pair: (pair[1] != lacking, pair)):
            say(console, f"  {name}: {what} ({kernels.said})")
        can &= can_fall_back or lacking not in told.values()
    return EXIT_OK if can else EXIT_FAILED


def run_can_run(options: CanRun) -> int:
    """Answer for each device and type.

    Returns:
        0 if the model runs and agrees everywhere asked, else 1.

    Raises:
        BadInputError: For a model or device that is not there.
    """
    _check_model(options.model)
    if options.predict:
        return _predict(options)
    devices = devices_asked(options.device, available_devices())
    console = Console(soft_wrap=True)
    rows = latest_rows(options.results, torch.__version__)
    can = True
    for device in devices:
        try:
            with contextlib.closing(OperationChild(fallback_environment(device, allow=True))) as child:
                questions = ModelQuestions(options, child)
                operations = {schema_name(overload): overload for overload in questions.recorded()}
                for dtype in options.dtype:
                    known = findings(rows, device, dtype)
                    found = {n: known.get(n) or questions.replay(o, device, dtype) for n, o in operations.items()}
                    say(console, f"{options.model} on {device} in {dtype}")
                    can &= _tell(console, found, questions.whole(device, dtype))
        except ChildError as error:
            raise BadInputError(f"MODEL: {options.model!r} cannot be recorded on the CPU: {error}") from error
    return EXIT_OK if can else EXIT_FAILED
