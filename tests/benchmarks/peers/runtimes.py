"""Our step through OpenVINO against OpenVINO's own ``benchmark_app``, on one and the same model, in turns.

    python tests/benchmarks/peers/runtimes.py                         some three minutes
    python tests/benchmarks/peers/runtimes.py --model resnet50 --batch-size 4 --precision fp32 --turns 3

A cell of ours is set up, its model is saved as OpenVINO's, and both run it with the same threads, one stream, the latency
hint and one synchronous request; turns alternate which goes first. The ratio is that of the medians over all turns. ONNX
Runtime has such a tool too (onnxruntime_perf_test); its wheel does not ship it. Target: within 5 %.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

import torch

from workloads.base import CellContext
from workloads.inference import Inference, InferenceOptions
from workloads.models.runtimes import open_vino

HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
TARGET = 0.05


def set_up(model: str, batch_size: int, precision: str, file: Path) -> Inference:
    """A cell of ours, whose model lies in a file as well."""
    import openvino

    kept: list[Any] = []
    convert = open_vino._converted

    def keeping(asked: Any) -> Any:
        kept.append(convert(asked))
        return kept[-1]

    open_vino._converted = keeping
    context = CellContext(
        device=torch.device("cpu"), batch_size=batch_size, precision=precision, model=model,
        options=InferenceOptions(runtime=("openvino",)),
    )  # fmt: skip
    workload = Inference(context)
    workload.setup()
    open_vino._converted = convert
    openvino.save_model(kept[0], file, compress_to_fp16=False)
    return workload


def ours_ms(workload: Inference, seconds: float) -> float:
    """The median of single steps."""
    taken, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        workload.step()
        taken.append(time.perf_counter() - began)
    return 1e3 * statistics.median(taken)


def theirs_ms(file: Path, precision: str, seconds: float) -> float:
    """The median latency that ``benchmark_app`` prints."""
    tool = Path(sys.executable).with_name("benchmark_app")
    command = [tool, "-m", file, "-d", "CPU", "-api", "sync", "-hint", "none", "-nstreams", "1", "-nthreads",
               str(torch.get_num_threads()), "-infer_precision", HINTS[precision], "-t", str(round(seconds))]  # fmt: skip
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    found = re.search(r"Median:\s+([\d.]+) ms", done.stdout)
    if found is None:
        raise SystemExit(f"benchmark_app printed no median:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return float(found[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["efficientnet_lite0", "resnet50"])
    parser.add_argument("--batch-size", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--precision", nargs="+", choices=list(HINTS), default=["fp32", "bf16"])
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    print(
        "| model | batch size | precision | ours (ms) | benchmark_app (ms) | ratio |\n| --- | --: | --- | --: | --: | --: |"
    )
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for model, batch_size, precision in (
            (m, b, p) for m in given.model for b in given.batch_size for p in given.precision
        ):
            file = Path(folder) / "network.xml"
            workload = set_up(model, batch_size, precision, file)
            turns: dict[str, list[float]] = {"ours": [], "theirs": []}
            measure = {
                "ours": lambda w=workload: ours_ms(w, given.seconds),
                "theirs": lambda f=file, p=precision: theirs_ms(f, p, given.seconds),
            }
            for turn in range(given.turns):
                for name in list(turns)[:: -1 if turn % 2 else 1]:
                    turns[name].append(measure[name]())
            ours, theirs = (statistics.median(turns[name]) for name in ("ours", "theirs"))
            worst = max(worst, abs(ours / theirs - 1))
            print(
                f"| {model} | {batch_size} | {precision} | {ours:.2f} | {theirs:.2f} | {ours / theirs:.3f} |",
                flush=True,
            )
            workload.teardown()
    print(f"\nthe largest difference is {worst:.1%}; the target is {TARGET:.0%}")
    return int(worst > TARGET)


if __name__ == "__main__":
    raise SystemExit(main())
