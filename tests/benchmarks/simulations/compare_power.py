"""How often a comparison reports a regression that is none, and finds one that is: ``python tests/benchmarks/simulations/compare_power.py``.

Sweeps of twelve cells are made up, of which the truth is known, and given to ``analysis.comparison``'s ``compare`` and
``regression``, which decide exit code 3. A cell's runs differ by a normal error of its own in the logarithm, and in some
lines by one that all cells of a run share. ``--against COMMIT`` prints the same of that commit's code beside it.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import math
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).parent.parent.parent.parent
N_CELLS = 12
WITHIN, N_ROUNDS, N_SAMPLES = 0.01, 6, 25
"""Spread of the samples of a run, and how many there are, for rules that look at them."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What differs from run to run, what is slower by how much, and how often that must be reported."""

    runs: int
    own: float  # standard deviation of a cell's runs, in the logarithm
    shared: float = 0.0  # of all cells of a run together
    unlike: float = 0.0  # how far cells differ in theirs: standard deviation of its logarithm
    one: float = 0.0  # how much slower the first cell of the second side is
    every: float = 0.0  # how much slower all are
    aim: str = ""

    @property
    def told(self) -> str:
        words = [f"{self.runs} a side, {100 * self.own:g} % between runs"]
        words += [f"{100 * self.shared:g} % of all cells alike"] if self.shared else []
        words += ["cells unlike"] if self.unlike else []
        words += [f"one cell {100 * self.one:g} % slower"] if self.one else []
        words += [f"all {100 * self.every:g} % slower"] if self.every else []
        return ", ".join(words)


SAME = [Case(runs=n, own=own, aim="at most 1 %") for n in (1, 2, 3, 5) for own in (0, 0.01, 0.03, 0.05, 0.08)]
SAME += [Case(runs=5, own=own, shared=s, aim="at most 1 %") for own, s in ((0.01, 0.03), (0.03, 0.05))]
SAME += [Case(runs=n, own=0.05, unlike=0.5, aim="at most 1 %") for n in (3, 5)]
SLOWER = [
    Case(runs=5, own=0.03, one=0.1, aim="at least 80 %"), Case(runs=5, own=0.03, every=0.05, aim="at least 95 %"),
    Case(runs=3, own=0.03, one=0.1), Case(runs=3, own=0.03, one=0.2), Case(runs=3, own=0.03, every=0.05),
    Case(runs=5, own=0.05, one=0.1), Case(runs=5, own=0.02, shared=0.02, every=0.05),
    Case(runs=1, own=0.03, one=0.2),
]  # fmt: skip


def side(label: str, case: Case, rng: np.random.Generator, spreads: Any, slower: Any) -> Any:
    """A side of ``case.runs`` sweeps of the same cells."""
    from analysis.cells.matching import Side

    has_samples = "samples" in {field.name for field in dataclasses.fields(Side)}
    rows, samples = [], []
    for run in range(case.runs):
        shared = case.shared * rng.standard_normal()
        for cell in range(N_CELLS):
            step = 0.01 * 1.5**cell * (1 + slower[cell]) * math.exp(shared + spreads[cell] * rng.standard_normal())
            row = {"sweep_id": f"{label}{run}", "trial_key": f"k{cell}", "status": "complete", "workload": "inference",
                   "device": "cpu", "batch_size": cell + 1, "items_per_step": 1, "scenario": "offline",
                   "step_median_s": step, "step_median_low_s": step * 0.997, "step_median_high_s": step * 1.003,
                   "options": "{}"}  # fmt: skip
            rows.append(row)
            if has_samples:
                level = np.repeat(0.003 * rng.standard_normal(N_ROUNDS), N_SAMPLES)
                noise = np.exp(level + WITHIN * rng.standard_normal(level.size))
                rounds = np.repeat(np.arange(N_ROUNDS), N_SAMPLES)
                samples.append(pd.DataFrame({"sweep_id": row["sweep_id"], "trial_key": row["trial_key"],
                                             "round": rounds, "seconds": step * noise}))  # fmt: skip
    more = {"samples": pd.concat(samples, ignore_index=True)} if has_samples else {}
    return Side(label=label, trials=pd.DataFrame(rows), **more)


def simulate(case: Case, n: int, seed: int) -> tuple[float, float]:
    """Shares of ``n`` comparisons with a regression, and with the first cell among what is called slower."""
    from analysis.comparison.answer import regression
    from analysis.comparison.comparison import compare

    rng = np.random.default_rng([seed, SAME.index(case) if case in SAME else 100 + SLOWER.index(case)])
    n_regressions, n_found = 0, 0
    for _ in range(n):
        spreads = case.own * np.exp(case.unlike * rng.standard_normal(N_CELLS))
        slower = np.full(N_CELLS, case.every)
        slower[0] += case.one
        sides = [side("a", case, rng, spreads, np.zeros(N_CELLS)), side("b", case, rng, spreads, slower)]
        found = compare(sides)
        n_regressions += regression(found, "a") is not None
        n_found += found.cells["verdict"].iloc[0] == "slower"
    return n_regressions / n, n_found / n


def shares(n: int, seed: int) -> list[tuple[float, float]]:
    return [simulate(case, n, seed) for case in (*SAME, *SLOWER)]


def shares_of_commit(commit: str, n: int, seed: int) -> list[tuple[float, float]]:
    """The same of the code of a commit, in a process and a folder of its own."""
    packed = subprocess.run(["git", "archive", commit, "analysis"], cwd=ROOT, capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        command = [sys.executable, str(Path(__file__).resolve()), "--numbers", "--n", str(n), "--seed", str(seed)]
        told = subprocess.run(
            command, env=os.environ | {"PYTHONPATH": folder}, capture_output=True, text=True, check=True
        )
    return [(float(a), float(b)) for a, b in (line.split() for line in told.stdout.splitlines())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=400, help="comparisons a line")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--against", metavar="COMMIT", help="also the code of this commit")
    parser.add_argument("--numbers", action="store_true", help="the shares alone, for another process")
    options = parser.parse_args()
    if options.numbers:
        for pair in shares(options.n, options.seed):
            print(*pair)
        return
    sys.path.insert(0, str(ROOT))
    columns = {options.against: shares_of_commit(options.against, options.n, options.seed)} if options.against else {}
    columns["this code"] = shares(options.n, options.seed)
    print(
        f"{options.n} comparisons a line, {N_CELLS} cells, exit code 3 in % of them; in brackets: the slower cell named\n"
    )
    print("| case | aim |", " | ".join(columns), "|")
    print("| :--- | :--- |", " | ".join("---:" for _ in columns), "|")
    for i, case in enumerate((*SAME, *SLOWER)):
        told = [
            f"{100 * found[i][0]:.1f}" + (f" ({100 * found[i][1]:.1f})" if case.one else "")
            for found in columns.values()
        ]
        print(f"| {case.told} | {case.aim} |", " | ".join(told), "|")


if __name__ == "__main__":
    main()
