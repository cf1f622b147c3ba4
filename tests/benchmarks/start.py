"""How soon a sweep answers: the timeline of one cell, of another commit and of this one in turns.

    python tests/benchmarks/start.py                      this checkout alone, three times
    python tests/benchmarks/start.py --against aa2e21d    and that commit, in turns
    python tests/benchmarks/start.py --cpus 0,1           on these cores alone (Linux)
    python tests/benchmarks/start.py -- --device cuda     with more options of the sweep

Prints the medians, seconds after the process began: its first line, the first cell's begin and end, the report, the
exit; of ``--help`` and of a refused option their whole time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent.parent
SWEEP = ("inference", "--batch-size", "1", "--precision", "fp32", "--max-s", "1")
SHORT = {"--help": ("--help",), "refused": ("inference", "--batch-size", "x")}


def timeline(tree: Path, results: Path, cpus: str, more: list[str]) -> dict[str, float]:
    """Seconds from the start of a sweep of one cell until each of its events."""
    began = time.time()
    process = subprocess.Popen(
        _command(tree, cpus, *SWEEP, *more, "--output", str(results)),
        cwd=tree, env=_environment(tree), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    lines = [(time.time() - began, line) for line in process.stdout]
    if process.wait():
        raise SystemExit("".join(line for _, line in lines))
    end = time.time() - began
    folder = max(results.glob("*/"), key=lambda path: path.stat().st_mtime)
    tables = [pq.read_table(file) for file in folder.rglob("*.parquet")]
    rows = [row for table in tables if "started_at" in table.column_names for row in table.to_pylist()]
    first = min(rows, key=lambda row: row["started_at"])
    cell = first["started_at"].timestamp() - began
    return {
        "first line": lines[0][0], "first cell begins": cell, "it ends": cell + first["wall_s"],
        "report": (folder / "report.md").stat().st_mtime - began, "exit": end,
    }  # fmt: skip


def short(tree: Path, cpus: str) -> dict[str, float]:
    """Seconds that commands take which measure nothing."""
    took = {}
    for name, arguments in SHORT.items():
        began = time.time()
        subprocess.run(
            _command(tree, cpus, *arguments), cwd=tree, env=_environment(tree), capture_output=True, check=False
        )
        took[name] = time.time() - began
    return took


def _command(tree: Path, cpus: str, *arguments: str) -> list[str]:
    bound = ["taskset", "-c", cpus] if cpus else []
    return [*bound, sys.executable, "-u", str(tree / "sweeps" / "run.py"), *arguments]


def _environment(tree: Path) -> dict[str, str]:
    others = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != str(ROOT)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*others, str(tree)])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", help="a commit of this repository")
    parser.add_argument("--cpus", default="", help="cores, as taskset takes them")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("more", nargs="*", help="options of the sweep, after --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        trees = {"this checkout": ROOT}
        if options.against:
            trees = {options.against: Path(scratch) / "tree", **trees}
            _extract(options.against, trees[options.against])
        found: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
        for turn in range(options.times + 1):  # the first, which reads files from the disk, does not count
            for name, tree in trees.items():
                events = timeline(tree, Path(scratch) / f"{turn}-{len(name)}", options.cpus, options.more)
                found[name] += [{**short(tree, options.cpus), **events}] if turn else []
        for event in found["this checkout"][0]:
            told = ", ".join(f"{name} {median(turn[event] for turn in turns):6.2f}" for name, turns in found.items())
            print(f"{event:<18} {told} s")


def _extract(commit: str, folder: Path) -> None:
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)


if __name__ == "__main__":
    main()
