"""A real A/A comparison on this machine, and one with a slowdown that was planted: does compare.py tell them apart?

    python tests/benchmarks/simulations/planted_slowdown.py                       five repeats a side, some 25 min on an idle machine
    python tests/benchmarks/simulations/planted_slowdown.py --repeats 3 --percent 20

A workload of its own sorts the pixels of photographs, in each step so often as its environment asks. Three sweeps of
twelve batch sizes are measured in turns with the same command: twice the same code, and once with one cell that works
longer by so many percent. Printed are the exit codes and first sentences of both comparisons.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent.parent
BATCHES = tuple(range(1, 13))
SLOW_BATCH = 4
N_SORTS = 10
"""Sorts a step; ten percent more is one sort more."""
WORKLOAD = f'''
import os

from docs.examples.sort_pixels.sort_pixels import SortPixels


class Planted(SortPixels):
    """Sort the pixels of photographs several times, one batch size slower than asked."""

    name = "planted"

    def step(self):
        extra = int(os.environ.get("PLANTED_PERCENT", "0")) if self.items_per_step == {SLOW_BATCH} else 0
        for _ in range(N_SORTS + extra * N_SORTS // 100):
            super().step()
'''.replace("N_SORTS", str(N_SORTS))


def install(folder: Path) -> None:
    """The workload as a package beside ours, found by its entry point."""
    (folder / "planted_workload.py").write_text(WORKLOAD)
    info = folder / "planted-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[accelsweep.workloads]\nplanted = planted_workload:Planted\n")


def measure(folder: Path, name: str, repeats: int, percent: int) -> Path:
    """A sweep of the planted workload; its folder."""
    output = folder / name
    command = [sys.executable, str(ROOT / "sweeps/run.py"), "planted", "--device", "cpu", "--repeats", str(repeats),
               "--batch-size", *map(str, BATCHES), "--max-s", "2", "--no-report", "--output", str(output)]  # fmt: skip
    path = os.pathsep.join([str(folder), str(ROOT)])
    subprocess.run(command, env=os.environ | {"PYTHONPATH": path, "PLANTED_PERCENT": str(percent)}, check=True)
    return output


def compare(folder: Path, a: str, b: str) -> None:
    page = folder / f"{b}.md"
    command = [sys.executable, str(ROOT / "analysis/compare.py"), f"{a}={folder / a}", f"{b}={folder / b}"]
    code = subprocess.run([*command, "--output", str(page)], check=False).returncode
    print(f"\n{b} against {a}: exit code {code}")
    print("\n".join(line for line in page.read_text().split("\n## ", 1)[0].splitlines()[1:] if line))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--percent", type=int, default=10, choices=range(0, 101, 10), metavar="PERCENT",
                        help="how much longer the slow cell works, in tens")  # fmt: skip
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        install(folder)
        for side, percent in (("old", 0), ("same", 0), ("slower", options.percent)):
            measure(folder, side, options.repeats, percent)
        compare(folder, "old", "same")
        compare(folder, "old", "slower")


if __name__ == "__main__":
    main()
