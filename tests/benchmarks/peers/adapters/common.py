"""What every adapter shares: the request, the model, the reference loop, the parts, and one JSON line per cell.

An adapter runs in its peer's own environment: this file needs torch and torchvision and nothing else. The request comes
as JSON on standard input; answers leave on the standard output that the process was started with, while whatever a peer
prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
ERROR_CHARACTERS = 220


class NotExpressibleError(Exception):
    """The peer has no option for what the cell asks."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    batch_size: int
    precision: str
    memory_format: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What a tool gave.

    Attributes:
        latency_s: Seconds of one batch, as the tool means it.
        throughput_per_s: Items per second, as the tool gives it, or as follows from what it gives.
        others: Further times of the tool in seconds, by the tool's own names.
    """

    latency_s: float
    throughput_per_s: float
    others: dict[str, float] = field(default_factory=dict)


@dataclass(kw_only=True)
class Prepared:
    """A model and its batch on the device.

    Attributes:
        module: In evaluation mode; its ``forward`` enters autocast where the cell asks for it.
        batch: Items x 3 x 224 x 224.
    """

    module: torch.nn.Module
    batch: torch.Tensor

    def step(self) -> None:
        with torch.inference_mode():
            self.module(self.batch)


def set_precision(name: str) -> None:
    """Strict fp32: torch's default lets cuDNN's convolutions round to TF32, which is another precision."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


class Autocasting(torch.nn.Module):
    """A module in a precision, for tools that time a module and know no precision."""

    def __init__(self, module: torch.nn.Module, device_type: str, precision: str) -> None:
        super().__init__()
        self.module, self.device_type, self.dtype = module, device_type, AUTOCAST.get(precision)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with nullcontext() if self.dtype is None else torch.autocast(self.device_type, dtype=self.dtype):
            return self.module(x)


def make_batch(images: torch.Tensor, cell: Cell, device: torch.device) -> torch.Tensor:
    """The photographs of the request in turns until the batch is full."""
    on_device = images.to(device)
    batch = on_device[torch.arange(cell.batch_size, device=device) % len(images)]
    return batch.contiguous(memory_format=MEMORY_FORMATS[cell.memory_format])


def synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def reference_loop(step: Callable[[], object], n_steps: int, device: torch.device) -> list[float]:
    """Seconds of each step, the device waited for on both sides."""
    seconds = []
    for _ in range(n_steps):
        synchronize(device)
        began = time.perf_counter()
        step()
        synchronize(device)
        seconds.append(time.perf_counter() - began)
    return seconds


def of_samples(seconds: list[float]) -> dict[str, float]:
    ordered, n = sorted(seconds), len(seconds)
    return {"mean": sum(seconds) / n, "median": (ordered[n // 2] + ordered[(n - 1) // 2]) / 2}


class Peer:
    """One tool. Subclasses say how it measures; the parts are the same for all.

    Attributes:
        statistic: Whether its latency is a mean or a median over steps; it is compared with the reference's same.
        defaults: Its default settings, in words.
    """

    name = ""
    statistic = "mean"
    defaults = ""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request

    def make_ready(self) -> None:
        """Whatever only this comparison needs; counted in no wall time."""

    def load_images(self) -> torch.Tensor:
        return torch.load(self.request["images"], weights_only=True)

    def plain_module(self) -> torch.nn.Module:
        import torchvision

        with torch.device("meta"):  # drawing random weights to overwrite them would take most of the set-up
            module = torchvision.models.get_model(self.request["model"], weights=None)
        module.load_state_dict(torch.load(self.request["weights"], weights_only=True), assign=True)
        return module.eval()

    def prepare(self, cell: Cell, device_name: str) -> Any:
        """Model and batch of a cell; raises what a user of the tool would meet."""
        device = torch.device(device_name)
        set_precision(cell.precision)
        module = self.plain_module().to(device).to(memory_format=MEMORY_FORMATS[cell.memory_format])
        batch = make_batch(self.load_images(), cell, device)
        return Prepared(module=Autocasting(module, device.type, cell.precision).eval(), batch=batch)

    def references(self, cell: Cell, device_name: str, prepared: Any) -> dict[str, Callable[[], object]]:
        """Steps that the reference loop runs in turns with the tool, by name; the first is the reference."""
        return {"reference": prepared.step}

    def measure(self, prepared: Any, cell: Cell, n_warmup: int, n_steps: int) -> Figure:
        raise NotImplementedError

    def measure_by_default(self, prepared: Any, cell: Cell) -> Figure:
        raise NotImplementedError

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}


@contextmanager
def address_limit(extra_bytes: int | None) -> Iterator[None]:
    """A limit of this process's address space: what it has and so much more. Nothing where None."""
    if extra_bytes is None:
        yield
        return
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + extra_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def failure(error: BaseException) -> dict[str, str]:
    """What the user sees of an exception: its type and the first lines of its message."""
    text = " ".join(str(error).split())
    status = "not expressible" if isinstance(error, NotExpressibleError) else "failed"
    shown = text if len(text) <= ERROR_CHARACTERS else text[: ERROR_CHARACTERS - 4] + " ..."
    return {"status": status, "error_type": type(error).__name__, "error": shown}


def told(figure: Figure) -> dict[str, Any]:
    return {"status": "ok", **asdict(figure)}


def wanted(cells: list[dict[str, Any]]) -> list[Cell]:
    return [Cell(**cell) for cell in cells]


def run_grid(peer: Peer, part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every cell once, its model built anew, as a user's loop over the grid would."""
    for cell in wanted(part["cells"]):
        began = time.perf_counter()
        try:
            prepared = peer.prepare(cell, peer.request["device"])
            answer = told(peer.measure(prepared, cell, part["n_warmup"], part["n_steps"]))
            del prepared
        except Exception as error:
            answer = failure(error)
        yield {"cell": asdict(cell), **answer, "wall_s": time.perf_counter() - began}


def run_agreement(peer: Peer, part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The tool in turns with the reference loop in this very process, in an order drawn anew each turn."""
    device_name = peer.request["device"]
    for cell in wanted(part["cells"]):
        began = time.perf_counter()
        try:
            prepared = peer.prepare(cell, device_name)
            turns = in_turns(peer, prepared, cell, part)
            answer: dict[str, Any] = {"status": "ok", "turns": turns}
            del prepared
        except Exception as error:
            answer = failure(error)
        yield {"cell": asdict(cell), **answer, "wall_s": time.perf_counter() - began}


def n_turns_of(cell: Cell, part: dict[str, Any]) -> int:
    return part["n_single_turns" if cell.batch_size == 1 else "n_turns"]


def in_turns(peer: Peer, prepared: Any, cell: Cell, part: dict[str, Any]) -> list[dict[str, Any]]:
    device, order = torch.device(peer.request["device"]), random.Random(0)
    steps = peer.references(cell, peer.request["device"], prepared)
    n_warmup, n_steps = part["n_warmup"], part["n_steps"]
    for step in steps.values():
        reference_loop(step, max(n_warmup, 2), device)
    turns = []
    for _ in range(n_turns_of(cell, part)):
        turn: dict[str, Any] = {}
        parties = [*steps, ""]
        order.shuffle(parties)
        for party in parties:
            if party:
                turn[party] = of_samples(reference_loop(steps[party], n_steps, device))
            else:
                turn["tool"] = asdict(peer.measure(prepared, cell, n_warmup, n_steps))
        turns.append(turn)
    return turns


def run_defaults(peer: Peer, part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One cell with the tool's own settings, between two runs of the reference loop."""
    device = torch.device(peer.request["device"])
    for cell in wanted(part["cells"]):
        try:
            began = time.perf_counter()
            prepared = peer.prepare(cell, peer.request["device"])
            prepared_s = time.perf_counter() - began
            step = next(iter(peer.references(cell, peer.request["device"], prepared).values()))
            reference_loop(step, 2, device)
            before = reference_loop(step, part["n_steps"], device)
            began = time.perf_counter()
            answer = told(peer.measure_by_default(prepared, cell))
            answer["wall_s"] = prepared_s + time.perf_counter() - began
            answer["reference"] = of_samples([*before, *reference_loop(step, part["n_steps"], device)])
        except Exception as error:
            answer = {**failure(error), "wall_s": None}
        yield {"cell": asdict(cell), "settings": peer.defaults, **answer}


def run_out_of_memory(peer: Peer, part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A cell that fits, one that does not, and the first once more: is the process still good for it?"""
    with address_limit(part["address_space_bytes"]):
        yield from run_grid(peer, part)


def run_missing(peer: Peer, part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A device that this machine does not have."""
    peer.request["device"] = part["device"]
    yield from run_grid(peer, part)


PARTS = {
    "grid": run_grid, "defaults": run_defaults, "agreement": run_agreement, "out-of-memory": run_out_of_memory,
    "missing-device": run_missing,
}  # fmt: skip


def serve(make: Callable[[dict[str, Any]], Peer]) -> None:
    """Answer the request on standard input, a JSON line for each cell of each part."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    request = json.load(sys.stdin)

    def answer(**values: Any) -> None:
        print(json.dumps(values, default=float), file=answers)

    torch.set_num_threads(request["n_threads"])
    try:
        peer = make(request)
    except Exception as error:
        answer(part="start", **failure(error))
        return
    answer(
        part="start", status="ok", wall_s=time.time() - request["started_at"], statistic=peer.statistic,
        versions=peer.versions(),
    )  # fmt: skip
    peer.make_ready()
    for part in request["parts"]:
        for line in PARTS[part["name"]](peer, part):
            answer(part=part["name"], **line)
