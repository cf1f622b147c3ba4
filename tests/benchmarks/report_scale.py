"""What the reports take on a large sweep: 10,000 cells with 5 million samples, in the schema that sweeps write.

    python tests/benchmarks/report_scale.py                 report.py, which must stay under 15 s and 2 GB, then the others
    python tests/benchmarks/report_scale.py --parts         as a killed sweep leaves it: one file a cell and table
    python tests/benchmarks/report_scale.py --only report   one script; also --cells and --samples

Each script runs in a process of its own, interpreter and imports included; its peak resident memory is what the kernel
counted. The rows are drawn at random, with every column that such a sweep fills; the exit code is 1 if report.py is over.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from sweeps.store.schema import ROUNDS, SAMPLES, SCHEMA_VERSION, TABLES, TRIALS

MAX_S, MAX_GB = 15.0, 2.0
N_ROUNDS = 5
AXES: dict[str, list[Any]] = {
    "model": [f"model_{i}" for i in range(8)],
    "scenario": ["single-stream", "offline"],
    "device": ["cpu", "gpu"],
    "precision": ["fp32", "tf32", "bf16", "fp16"],
    "memory_format": ["contiguous", "channels_last"],
    "compile": ["none", "default"],
}
MACHINE = {
    "schema_version": SCHEMA_VERSION, "sweep_id": "scale", "workload": "inference", "item": "images",
    "input_shape": "3x224x224", "input_source": "photographs", "input_is_synthetic": False, "weights": "imagenet",
    "timing_verified": True, "is_precise": True, "is_drifting": False, "is_throttled": False, "steps_per_sample": 1,
    "seed": 0, "options": "{}", "n_rounds": N_ROUNDS, "energy_source": "nvml", "energy_domain": "gpu board",
    "reference": "cpu fp32", "host": "0123456789ab", "device_name": "a device", "torch_version": "2.15.0",
    "torchvision_version": "0.29.2", "ray_version": "2.60.0", "python_version": "3.11.7", "os": "Linux", "n_cpus": 16,
    "cpu_name": "a processor", "n_threads": 16, "git_commit": "0123456789ab", "accelsweep_version": "0.1.0",
}  # fmt: skip


def trial_rows(n_cells: int, n_samples: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Rows as a sweep records them: every 20th cell ran out of memory, every 50th was pruned."""
    lines = list(itertools.product(*AXES.values()))
    n_sizes = -(-n_cells // len(lines))
    sizes = sorted({round(2 ** (i / 2)) for i in range(2, 2 * n_sizes + 6)})[:n_sizes]
    rows = []
    for i, (line, size) in enumerate(itertools.islice(itertools.product(lines, sizes), n_cells)):
        row = MACHINE | dict(zip(AXES, line, strict=True))
        row |= {"trial_key": f"{i:016x}", "trial_index": i, "batch_size": size, "items_per_step": size, "wall_s": 2.0}
        if i % 20 == 19:
            rows.append(row | {"status": "oom", "status_reason": "out of memory", "error_type": "OutOfMemoryError",
                               "error_message": f"tried to allocate {size} MiB"})  # fmt: skip
            continue
        step_s = float((2e-3 + 1e-4 * size) * rng.uniform(0.8, 1.2) * (10 if line[2] == "cpu" else 1))
        rows.append(row | {
            "status": "pruned" if i % 50 == 49 else "complete", "n_samples": n_samples, "step_median_s": step_s,
            "step_median_low_s": step_s * 0.99, "step_median_high_s": step_s * 1.01, "step_iqr_ratio": 0.02,
            "throughput_items_per_s": size / step_s, "throughput_low_items_per_s": size / step_s / 1.01,
            "throughput_high_items_per_s": size / step_s / 0.99, "stability": "stable" if i % 10 else "unstable",
            "latency_p50_s": step_s, "latency_p90_s": step_s * 1.02, "latency_p95_s": step_s * 1.03,
            "measured_s": step_s * n_samples, "warmup_s": 0.5, "setup_s": 1.0, "first_step_s": 0.1,
            "device_peak_allocated_bytes": int(2e8 + 1e7 * size), "device_peak_reserved_bytes": int(3e8 + 1e7 * size),
            "peak_rss_bytes": int(1e9), "energy_per_item_j": float(rng.uniform(0.01, 0.1)), "items_per_j": 30.0,
            "flops_per_step": 8e8 * size, "bytes_per_step": 1e8 * size, "achieved_flop_per_s": 8e8 * size / step_s,
            "ceiling_flop_per_s": 4e13, "ceiling_bytes_per_s": 3e12, "flop_share_ratio": 0.1,
            "top1_agreement_ratio": 1.0, "max_softmax_diff": 1e-3, "other_load_ratio": 0.0, "copy_in_s": 1e-4,
            "compute_s": step_s, "copy_out_s": 1e-5, "overlapped_step_s": step_s, "intensity_flop_per_byte": 8.0,
            "achieved_bytes_per_s": 1e8 * size / step_s, "bandwidth_share_ratio": 0.05, "copy_share_ratio": 0.01,
        })  # fmt: skip
    return rows


def samples_table(rows: list[dict[str, Any]], n_samples: int, rng: np.random.Generator) -> pa.Table:
    """Lognormal steps around each measured cell's median."""
    measured = [row for row in rows if "step_median_s" in row]
    n = len(measured) * n_samples
    keys = pa.array([row["trial_key"] for row in measured]).take(
        pa.array(np.repeat(np.arange(len(measured)), n_samples))
    )
    medians = np.repeat([row["step_median_s"] for row in measured], n_samples)
    position, per_round = np.tile(np.arange(n_samples), len(measured)), -(-n_samples // N_ROUNDS)
    columns = [keys, pa.array(["measure"]).take(pa.array(np.zeros(n, np.int64))), position // per_round,
               position % per_round, medians * rng.lognormal(0, 0.02, n), pa.nulls(n, pa.float64())]  # fmt: skip
    return pa.table(columns, names=SAMPLES.names).cast(SAMPLES)


def rounds_table(rows: list[dict[str, Any]]) -> pa.Table:
    made = [
        {"trial_key": row["trial_key"], "round": r, "elapsed_s": (r + 1) * row["measured_s"] / N_ROUNDS,
         "seconds": row["measured_s"] / N_ROUNDS, "items": row["batch_size"],
         "throughput_items_per_s": row["throughput_items_per_s"]}
        for row in rows if "measured_s" in row for r in range(N_ROUNDS)
    ]  # fmt: skip
    return pa.Table.from_pylist(made, schema=ROUNDS)


def write_sweep(folder: Path, n_cells: int, n_samples: int, seed: int, *, in_parts: bool) -> Path:
    """A sweep's folder: one compacted file a table, or one part a cell as before compaction."""
    rng = np.random.default_rng(seed)
    rows = trial_rows(n_cells, n_samples // n_cells, rng)
    made = {
        "trials": pa.Table.from_pylist(rows, schema=TRIALS),
        "samples": samples_table(rows, n_samples // n_cells, rng),
        "rounds": rounds_table(rows),
    }
    for name in TABLES:
        (folder / name).mkdir(parents=True)
        table, keys = made[name], made[name]["trial_key"].to_numpy(zero_copy_only=False)
        if not in_parts:
            pq.write_table(table, folder / name / "compact-0.parquet", compression="zstd")
            continue
        starts = [0, *(np.flatnonzero(keys[1:] != keys[:-1]) + 1).tolist(), len(keys)]
        for start, end in itertools.pairwise(starts):
            part = folder / name / f"part-{keys[start]}.parquet"
            pq.write_table(table.slice(start, end - start), part, compression="zstd")
    description = {
        "schema_version": SCHEMA_VERSION, "sweep_id": folder.name, "created_at": datetime.now(UTC).isoformat(),
        "command": ["accelsweep", "inference"], "config": {"workload": "inference"}, "n_cells": n_cells,
        "cells": [{"key": row["trial_key"], **{axis: row[axis] for axis in AXES}, "batch_size": row["batch_size"], "seed": 0,
                   "options": {}} for row in rows],
    }  # fmt: skip
    (folder / "sweep.json").write_text(json.dumps(description))
    return folder


def measure(command: list[str], limit_s: float) -> tuple[float, float, float, int]:
    """Seconds, seconds of CPU, peak resident gigabytes and exit code of a process; its errors are shown if it fails."""
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.perf_counter() - began > limit_s:
                process.kill()
            time.sleep(0.02)
        elapsed, code = time.perf_counter() - began, os.waitstatus_to_exitcode(status)
        process.returncode = code
        if code not in (0, 3):
            errors.seek(0)
            print(errors.read().decode()[-1500:])
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, in KiB on Linux
    return elapsed, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e9, code


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=5_000_000)
    parser.add_argument("--parts", action="store_true", help="one file a cell and table, as before compaction")
    parser.add_argument("--only", nargs="*", default=[], help="scripts by name, such as report or compare")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds after which a script is ended")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        # Linux counts the memory of whoever starts a process as that process's own peak, so this one stays small.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as apart:
            given = [(Path(scratch) / name, options.cells, options.samples, seed) for seed, name in enumerate("ab")]
            given = given[: 2 if not options.only or "compare" in options.only else 1]
            sweeps = [apart.submit(write_sweep, *one, in_parts=options.parts).result() for one in given]
        size = sum(p.stat().st_size for p in sweeps[0].rglob("*.parquet")) / 1e6
        print(f"{options.cells:,} cells, {options.samples:,} samples, {size:.0f} MB of Parquet"
              f" in {'parts' if options.parts else 'one file a table'}; written in {time.perf_counter() - began:.0f} s")  # fmt: skip
        is_over = False
        names = ["report", *sorted(p.stem for p in (ROOT / "analysis").glob("report_*.py")), "compare"]
        for name in (n for n in names if n != "report_coverage" and (not options.only or n in options.only)):
            given = [str(s) for s in (sweeps if name == "compare" else sweeps[:1])]
            extra = ["--html"] if name == "report" else []
            output = ["--output", str(Path(scratch) / "out" / f"{name}.md")]
            elapsed, cpu, peak, code = measure(
                [sys.executable, str(ROOT / "analysis" / f"{name}.py"), *given, *extra, *output], options.limit
            )
            print(
                f"{name + '.py':<22} {elapsed:6.1f} s ({cpu:.1f} s of CPU)  {peak:5.2f} GB peak  exit code {code}",
                flush=True,
            )
            is_over |= name == "report" and (elapsed > MAX_S or peak > MAX_GB or code != 0)
    return int(is_over)


if __name__ == "__main__":
    sys.exit(main())
