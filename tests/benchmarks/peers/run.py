"""The peers and this tool in one run: what each says of the same cells, what a grid takes, what becomes of failures.

    python tests/benchmarks/peers/run.py --device cpu --output peers.md        some 35 minutes on two cores; with
        MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 before it steps on the CPU vary less
    python tests/benchmarks/peers/run.py --device cuda --wheels DIR            some 15 minutes, without a registry
    python tests/benchmarks/peers/run.py --device cpu --quick                  shows in minutes that everything runs

Each peer is installed in an environment of its own (``environments.py``) and driven by a script of its own in
``adapters/``, as a child process that prints one JSON line per cell. All run torchvision's ResNet-50 with the same seeded
weights on the same photographs, and the same PyTorch. Beside each tool, in its own process and in turns with it, runs a
loop that waits for the device before and after every step. ``plan.py`` says which cells, ``report.py`` makes the tables.

``--records FILE`` keeps the lines, and replaces those of the tools and parts measured now: a long run can so be done in
pieces, ``--tools`` and ``--parts`` at a time, and every piece writes the tables of all that is known.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

import torch
from environments import PACKAGES, peer_python
from plan import DEFAULTS, GRID, MEMORY, MISSING, MODEL, PARTS, Plan, plan_for
from report import write_report

from analysis import load_sweep
from sweeps.measure.device.device import (
    KINDS,
    available_devices,
    device_name,
    driver_version,
    open_device,
    total_bytes,
)
from sweeps.measure.device.environment import allocator_settings
from sweeps.measure.device.host import usable_cpus
from workloads.base import BadInputError
from workloads.images.batches import to_model_input
from workloads.images.photographs import load_photographs, photograph_batch
from workloads.pipelines.composed import IMAGENET_MEAN, IMAGENET_STD

ADAPTERS = Path(__file__).resolve().parent / "adapters"
N_IMAGES = 16
OURS, LOOP, HUGGING_FACE, ISOLATED = (
    "accelsweep", "reference loop", "optimum-benchmark", "optimum-benchmark, process launcher",
)  # fmt: skip
SCRIPTS = {
    LOOP: "reference_loop.py",
    "torch.utils.benchmark": "torch_timer.py",
    "timm's loop": "timm_loop.py",
    "pytorch-benchmark": "lukas_benchmark.py",
    HUGGING_FACE: "hugging_face_benchmark.py",
    ISOLATED: "hugging_face_benchmark.py",
    OURS: "ours.py",
}
Record = dict[str, Any]


def make_inputs(folder: Path) -> dict[str, str]:
    """Photographs and seeded weights, the same for all; the batch norms' statistics are those of the photographs.

    Without those statistics a random network's activations grow with its depth, and fp16 would overflow.
    """
    import torchvision

    images, weights = folder / "photographs.pt", folder / f"{MODEL}.pt"
    if not (images.is_file() and weights.is_file()):
        pixels = photograph_batch(load_photographs(), N_IMAGES, 224, seed=0)
        batch = to_model_input(pixels, IMAGENET_MEAN, IMAGENET_STD)
        torch.manual_seed(0)
        module = torchvision.models.get_model(MODEL, weights=None).train()
        for layer in module.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = 1.0
        with torch.no_grad():
            module(batch)
        torch.save(batch, images)
        torch.save(module.state_dict(), weights)
    return {"images": str(images), "weights": str(weights)}


def lines_of(process: subprocess.Popen[str], request: Record, timeout_s: float) -> Iterator[Record]:
    """The child's JSON lines as they come; it is ended when the time is over."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(request))
    process.stdin.close()
    timer = threading.Timer(timeout_s, process.kill)
    timer.start()
    try:
        for line in process.stdout:
            yield json.loads(line)
    finally:
        timer.cancel()
        process.wait()


def run_adapter(tool: str, python: Path, request: Record, timeout_s: float) -> Iterator[Record]:
    """The records of a tool's adapter. Cells that it did not answer are told as well, with how the process ended."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" or tool in (OURS, LOOP)}
    environment |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    log = Path(request["work"]) / f"{SCRIPTS[tool]}.log"
    owed = [(part["name"], cell) for part in request["parts"] for cell in part["cells"]]
    with log.open("a", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [str(python), str(ADAPTERS / SCRIPTS[tool])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            text=True, env=environment, cwd=request["work"],
        )  # fmt: skip
        for line in lines_of(process, request, timeout_s):
            yield {"tool": tool, "device": request["device"], **line}
            if line["part"] != "start":
                owed.pop(0)
            elif line["status"] != "ok":
                owed = []
    for name, cell in owed:
        was_late = time.time() - request["started_at"] >= timeout_s
        end = (
            f"our limit of {timeout_s:.0f} s"
            if was_late
            else f"exit code {process.returncode}"
            if process.returncode >= 0
            else f"signal {-process.returncode}"
        )
        yield {
            "tool": tool, "device": request["device"], "part": name, "cell": cell, "status": "died",
            "error_type": "", "error": f"the process ended with {end}",
        }  # fmt: skip


def our_command(device: str, inputs: Record, grid: Plan | None) -> list[str]:
    command = [sys.executable, str(ROOT / "sweeps" / "run.py"), "inference", "--device", device, "--model", MODEL]
    command += ["--weights", inputs["weights"], "--no-report"]
    if grid is None:
        return [*command, "--batch-size", "1", "--precision", "fp32"]
    sizes = [str(n) for n in grid.batch_sizes]
    axes = ["--batch-size", *sizes, "--precision", *grid.precisions, "--memory-format", *grid.memory_formats]
    return [*command, *axes, *grid.our_grid_options]


def run_our_command(
    device: str, inputs: Record, plan: Plan | None, work: Path, timeout_s: float
) -> tuple[float, subprocess.CompletedProcess[str], Path]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    results = Path(tempfile.mkdtemp(prefix="results-", dir=work))
    command = [*our_command(device, inputs, plan), "--output", str(results)]
    began = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=work, timeout=timeout_s
    )
    return time.perf_counter() - began, done, results


def our_grid(device: str, inputs: Record, plan: Plan, work: Path, timeout_s: float) -> Iterator[Record]:
    """``accelsweep inference`` itself over the grid: one process, Ray included, from its start to its exit."""
    wall_s, done, results = run_our_command(device, inputs, plan, work, timeout_s)
    frame = load_sweep(results)
    yield {"tool": OURS, "device": device, "part": "command", "status": "ok" if done.returncode == 0 else "failed",
           "wall_s": wall_s, "error": (done.stdout + done.stderr).strip()[-300:] if done.returncode else None}  # fmt: skip
    for row in frame.to_dict("records"):
        cell = {name: row[name] for name in ("batch_size", "precision", "memory_format")}
        yield {
            "tool": OURS, "device": device, "part": GRID, "cell": cell, "wall_s": row["wall_s"],
            "status": "ok" if row["status"] == "complete" else row["status"], "error": row["error_message"],
            "latency_s": row["step_median_s"], "throughput_per_s": row["throughput_items_per_s"],
            "n_samples": row["n_samples"], "measured_s": row["measured_s"], "warmup_s": row["warmup_s"],
        }  # fmt: skip


def our_missing(missing: str, inputs: Record, plan: Plan, work: Path, timeout_s: float) -> Iterator[Record]:
    wall_s, done, _ = run_our_command(missing, inputs, None, work, timeout_s)
    told = " ".join((done.stdout + done.stderr).split())[:220]
    yield {
        "tool": OURS, "device": missing, "part": MISSING, "cell": plan.part(MISSING, missing)["cells"][0],
        "status": "ok" if done.returncode == 0 else "failed", "wall_s": wall_s,
        "error_type": f"exit code {done.returncode}", "error": told,
    }  # fmt: skip


def records_of(tool: str, options: argparse.Namespace, plan: Plan, inputs: Record, work: Path) -> Iterator[Record]:
    """Every record of one tool, its environment made first."""
    asked, python = list(options.parts), Path(sys.executable)
    package = HUGGING_FACE if tool == ISOLATED else tool
    if package in PACKAGES:
        began = time.perf_counter()
        try:
            python = peer_python(package, work / "environments", options.wheels)
        except RuntimeError as error:
            yield {"tool": tool, "device": options.device, "part": "start", "status": "failed",
                   "error_type": "pip", "error": str(error)}  # fmt: skip
            return
        print(f"  environment ready after {time.perf_counter() - began:.1f} s", flush=True)
    if tool == OURS and GRID in asked:
        yield from our_grid(options.device, inputs, plan, work, options.timeout)
    if tool == OURS and MISSING in asked:
        yield from our_missing(options.missing_device, inputs, plan, work, options.timeout)
    alone = {OURS: [GRID, MISSING], ISOLATED: [p for p in PARTS if p != GRID], LOOP: [DEFAULTS, MEMORY, MISSING]}
    parts = [plan.part(name, options.missing_device) for name in asked if name not in alone.get(tool, [])]
    if tool == ISOLATED and parts:
        expressible = [c for c in parts[0]["cells"] if c["memory_format"] == "contiguous"]
        parts[0]["cells"] = expressible[:: max(1, len(expressible) // plan.n_isolated)][: plan.n_isolated]
    if parts:
        request = {
            "device": options.device, "model": MODEL, "n_threads": usable_cpus(), "work": str(work),
            "started_at": time.time(), "parts": parts, "launcher": "process" if tool == ISOLATED else "inline",
            **inputs,
        }  # fmt: skip
        yield from run_adapter(tool, python, request, options.timeout)


def shown(record: Record) -> str:
    cell = " ".join(str(value) for value in record.get("cell", {}).values())
    told = f"{record['latency_s'] * 1e3:.2f} ms" if record.get("latency_s") else record.get("error") or ""
    return f"  {record['part']:<15} {cell:<24} {record['status']} {told[:120]}"


def command_of(options: argparse.Namespace) -> str:
    """The command line without this machine's folders."""
    settings = allocator_settings(os.environ)
    words = [settings] if settings else []
    words += ["python tests/benchmarks/peers/run.py", "--device", options.device]
    words += ["--quick"] if options.quick else []
    words += ["--wheels DIR"] if options.wheels else []
    words += (
        ["--tools", *(repr(t) if " " in t else t for t in options.tools)] if len(options.tools) < len(SCRIPTS) else []
    )
    words += ["--parts", *options.parts] if len(options.parts) < len(PARTS) else []
    return " ".join(words)


def facts_of(options: argparse.Namespace) -> Record:
    device = open_device(options.device)
    import torchvision

    return {
        "tool": "machine", "part": "facts", "device": options.device, "device_name": device_name(device),
        "driver": driver_version(device), "n_threads": usable_cpus(), "missing_device": options.missing_device,
        "torch": torch.__version__, "torchvision": torchvision.__version__, "python": sys.version.split()[0],
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(), "model": MODEL, "quick": options.quick,
        "commands": [command_of(options)],
    }  # fmt: skip


def key_of(record: Record) -> tuple[str, str, str]:
    return record["tool"], record["part"], json.dumps(record.get("cell"))


def merged(old: list[Record], new: list[Record]) -> list[Record]:
    """Old records less the cells measured again; the facts keep every command."""
    again = {key_of(record) for record in new}
    commands = [c for r in old + new if r["part"] == "facts" for c in r["commands"]]
    kept = [r for r in old if key_of(r) not in again] + new
    return [{**r, "commands": list(dict.fromkeys(commands))} if r["part"] == "facts" else r for r in kept]


def keep(records: list[Record], options: argparse.Namespace) -> None:
    """Write what is known so far, so that an interrupted run loses nothing of it."""
    if options.records is not None:
        options.records.write_text("".join(json.dumps(record, default=float) + "\n" for record in records))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--missing-device", default="", help="default: the first that PyTorch knows and this machine lacks"
    )
    parser.add_argument("--quick", action="store_true", help="few cells, few steps: says nothing about speed")
    parser.add_argument("--output", type=Path, help="the Markdown file; default: printed")
    parser.add_argument("--records", type=Path, help="file of JSON lines to keep and to add to")
    parser.add_argument("--wheels", type=Path, help="folder filled by collect_wheels.sh, instead of a registry")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "accelsweep-peers")
    parser.add_argument("--tools", nargs="+", choices=SCRIPTS, default=list(SCRIPTS), metavar="TOOL")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--limit", type=float, default=1e9, help="seconds for the whole run; what is left is told")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds for one tool")
    options = parser.parse_args()
    here = available_devices()
    if options.device not in here:
        parser.error(f"--device: {options.device!r} is not on this machine; here: {', '.join(here)}")
    options.missing_device = options.missing_device or next(name for name in KINDS if name not in here)
    options.parts = [name for name in PARTS if name in options.parts]
    for name in ("wheels", "work"):
        path = getattr(options, name)
        setattr(options, name, None if path is None else path.resolve())
    return options


def main() -> None:
    options, began = parsed(), time.perf_counter()
    options.work.mkdir(parents=True, exist_ok=True)
    plan = plan_for(options.device, total_bytes(open_device(options.device)) or 0, is_quick=options.quick)
    inputs = make_inputs(options.work)
    end = began + options.limit
    new = [facts_of(options)]
    known = options.records is not None and options.records.is_file()
    old = [json.loads(line) for line in options.records.read_text().splitlines()] if known else []
    for tool in (name for name in SCRIPTS if name in options.tools):
        print(f"{tool} ({time.perf_counter() - began:.0f} s)", flush=True)
        options.timeout = min(options.timeout, max(1.0, end - time.perf_counter()))
        if time.perf_counter() >= end:
            new.append({"tool": tool, "device": options.device, "part": "start", "status": "not run",
                        "error_type": "--limit", "error": f"{options.limit:.0f} s were over"})  # fmt: skip
            continue
        try:
            for record in records_of(tool, options, plan, inputs, options.work):
                new.append(record)
                print(shown(record), flush=True)
                keep(merged(old, new), options)
        except (subprocess.TimeoutExpired, BadInputError, json.JSONDecodeError) as error:
            print(f"  {type(error).__name__}: {error}", flush=True)
        if options.output is not None:
            options.output.write_text(write_report(merged(old, new), plan))
    print(f"{time.perf_counter() - began:.0f} s in all")
    if options.output is None:
        print(write_report(merged(old, new), plan))


if __name__ == "__main__":
    main()
