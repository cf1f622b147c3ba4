"""What a cell costs and keeps when a sweep has thousands of them, from the first thousand to the last.

    python tests/benchmarks/many_cells.py                  10,000 cells of a workload that returns at once
    python tests/benchmarks/many_cells.py --soak           1,000 short cells that process real photographs
    python tests/benchmarks/many_cells.py --plot curve.png

The sweep runs in a process of its own through the code that every sweep runs through: real Ray, real Tune, real
Parquet, a workload from an installed package's entry point. This process only looks on, once a second: resident memory
and open files of the driver, the raylet and the worker. Time per cell comes from the rows' own ``started_at``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

AT_ONCE = '''
from workloads.base import Defaults, NoOptions, SetupFacts

class AtOnce:
    """Return at once."""
    name, item, Options = "at-once", "nothings", NoOptions
    defaults = Defaults(batch_size=(1,), precision=("fp32",))
    steps_per_round = 1

    def __init__(self, context):
        self.items_per_step = context.batch_size

    @classmethod
    def check(cls, options, models): ...

    def setup(self): return SetupFacts(input_shape="0", input_source="none")
    def step(self): ...
    def end_round(self, index): return {}
    def is_done(self): return True
    def quality(self): return {}
    def teardown(self): ...
'''
LIMIT_MS = 50.0
ROLES = ("driver", "raylet", "gcs", "worker")


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen at one moment, by role: resident bytes, open files, and CPU seconds so far of all but the worker."""

    at_s: float
    n_cells: int
    rss_bytes: dict[str, int]
    n_files: dict[str, int]
    cpu_s: float


def install(folder: Path) -> None:
    """The workload as an installed package."""
    info = folder / "at_once-1.dist-info"
    info.mkdir(parents=True)
    (folder / "at_once.py").write_text(AT_ONCE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: at-once\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[accelsweep.workloads]\nat-once = at_once:AtOnce\n")


def drive(n_cells: int, is_soak: bool, folder: Path) -> None:
    """Run the sweep in this process, as ``sweeps/session/sweep.py`` does."""
    from rich.console import Console

    from sweeps.launch.ray_start import RayOptions, ray_here
    from sweeps.launch.tune_loop import launch
    from sweeps.plan.config import SweepConfig
    from sweeps.plan.measuring import MeasureConfig
    from sweeps.scheduling.ledger import Ledger
    from sweeps.session.running import choose
    from sweeps.session.terminal import Terminal
    from sweeps.store.store import ResultStore

    if is_soak:
        axes = {"pipeline": ("resize", "gaussian-blur", "geometric", "sobel", "decode")}
        sizes, formats, n_each = 10, ("contiguous", "channels_last"), n_cells // 100
        config = SweepConfig(
            workload="image-processing", device=("cpu",), batch_size=tuple(range(1, sizes + 1)), precision=("fp32",),
            model=("none",), memory_format=formats, option_axes={**axes, "implementation": ("eager",)},
            measure=MeasureConfig(min_rounds=2, min_s=0.05, max_s=0.1, round_s=0.03, warmup_max_s=0.1),
        )  # fmt: skip
        cells = [
            cell for seed in range(n_each)
            for cell in SweepConfig.from_dict({**config.as_dict(), "seed": seed}).cells()
        ]  # fmt: skip
    else:
        config = SweepConfig(
            workload="at-once", device=("cpu",), batch_size=tuple(range(1, n_cells + 1)), precision=("fp32",),
            model=("none",), measure=MeasureConfig(min_rounds=1, min_s=1e-3, max_s=1e-3, round_s=1e-3, warmup_max_s=1e-3),
        )  # fmt: skip
        cells = config.cells()
    store = ResultStore.create(folder, config, cells, ["benchmark"])
    with Terminal(len(cells), 0, Console(soft_wrap=True)) as terminal:
        ledger = Ledger(config, cells, store, choose(config, cells, store, []), terminal)
        with ray_here(RayOptions()) as here:
            launch(config, ledger, RayOptions(), here, {"cpu": 1})
    began = time.perf_counter()
    store.compact()
    compacted = time.perf_counter()
    rows = store.rows()
    print(f"after the last cell: compaction {compacted - began:.1f} s, reading {len(rows)} rows back"
          f" {time.perf_counter() - compacted:.1f} s")  # fmt: skip


def look(driver: psutil.Process, began: float, log: Path) -> Look | None:
    """The processes as they are now; None before the first cell has ended."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        ended = re.findall(rb"^\[(\d+)/", file.read(), re.MULTILINE)
    if not ended:
        return None
    by_role: dict[str, list[psutil.Process]] = {"driver": [driver], "raylet": [], "gcs": [], "worker": []}
    with contextlib.suppress(psutil.Error):
        for child in driver.children(recursive=True):
            name = " ".join(child.cmdline())
            if "CellActor" in name:
                by_role["worker"].append(child)
            elif "gcs_server" in name:
                by_role["gcs"].append(child)
            elif "/raylet/raylet" in name:
                by_role["raylet"].append(child)
    rss, files, cpu_s = dict.fromkeys(ROLES, 0), dict.fromkeys(ROLES, 0), 0.0
    for role, processes in by_role.items():
        for process in processes:
            with contextlib.suppress(psutil.Error):
                rss[role] += process.memory_info().rss
                files[role] += process.num_fds()
                cpu_s += sum(process.cpu_times()[:2]) if role != "worker" else 0.0
    return Look(at_s=time.monotonic() - began, n_cells=int(ended[-1]), rss_bytes=rss, n_files=files, cpu_s=cpu_s)


def slope(looks: Sequence[Look], role: str) -> tuple[float, float, float]:
    """Bytes that a process grows by a cell after the first tenth of the cells: Theil-Sen's line and its 95 % interval."""
    from scipy.stats import theilslopes

    late = [s for s in looks if s.n_cells > looks[-1].n_cells / 10 and s.rss_bytes[role]]
    fit = theilslopes([s.rss_bytes[role] for s in late], [s.n_cells for s in late])
    return float(fit.slope), float(fit.low_slope), float(fit.high_slope)


def floors(looks: Sequence[Look], role: str) -> list[float]:
    """The least resident MB of a process within each tenth of the cells.

    Each tenth of the soak is the same hundred cells, whose batches differ in size tenfold: what a process keeps is its
    least, the rest is the batch of the moment.
    """
    tenths: dict[int, list[float]] = {}
    for seen in looks:
        tenths.setdefault(10 * (seen.n_cells - 1) // looks[-1].n_cells, []).append(seen.rss_bytes[role] / 1e6)
    return [min(tenths[i]) for i in sorted(tenths)]


HEAD = (
    "   cells  ms/cell  CPU ms"
    + "".join(f"{r + ' MB':>11}" for r in ROLES)
    + "".join(f"{r + ' files':>14}" for r in ROLES)
)


def line(before: Look, seen: Look) -> str:
    """One line of the curve.

    ms/cell is what passed, the cell itself included; CPU ms is what the driver and Ray's processes worked for it, which
    others on the machine change less.
    """
    n = max(1, seen.n_cells - before.n_cells)
    ms, cpu_ms = (seen.at_s - before.at_s) / n * 1e3, (seen.cpu_s - before.cpu_s) / n * 1e3
    return (f"{seen.n_cells:8,} {ms:8.1f} {cpu_ms:7.1f}" + "".join(f"{seen.rss_bytes[r] / 1e6:11.1f}" for r in ROLES)
            + "".join(f"{seen.n_files[r]:14}" for r in ROLES))  # fmt: skip


def follow(child: subprocess.Popen[bytes], log: Path, n_each: int) -> list[Look]:
    """Look on until the sweep has ended, printing a line for each so many cells."""
    looks: list[Look] = []
    began, driver, before = time.monotonic(), psutil.Process(child.pid), None
    print(HEAD)
    while child.poll() is None:
        time.sleep(1)
        seen = None
        with contextlib.suppress(psutil.Error):
            seen = look(driver, began, log)
        if seen is None or not seen.rss_bytes["worker"] or (looks and seen.n_cells == looks[-1].n_cells):
            continue
        looks.append(seen)
        before = before or seen
        if seen.n_cells // n_each > before.n_cells // n_each:
            print(line(before, seen), flush=True)
            before = seen
    return looks


def plot(looks: Sequence[Look], started_s: np.ndarray, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(8, 6), layout="constrained")
    width = max(1, len(started_s) // 200)
    edges = np.arange(0, len(started_s), width)
    above.plot(edges[1:], np.diff(started_s[edges]) / width * 1e3)
    above.set(ylabel="ms per cell", ylim=(0, None))
    for role in ROLES:
        below.plot([s.n_cells for s in looks], [s.rss_bytes[role] / 1e6 for s in looks], label=role)
    below.set(xlabel="cells", ylabel="resident MB", ylim=(0, None))
    below.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soak", action="store_true", help="cells that do real work")
    parser.add_argument("--cells", type=int, help="default: 10,000, with --soak 1,000")
    parser.add_argument("--plot", type=Path, help="write the curve to this file")
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    n_cells = options.cells or (1000 if options.soak else 10_000)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the sweep ends as well
    if options.drive is not None:
        drive(n_cells, options.soak, options.drive)
        return
    with tempfile.TemporaryDirectory() as scratch:
        site, folder, log = Path(scratch) / "site", Path(scratch) / "sweep", Path(scratch) / "log"
        install(site)
        paths = os.pathsep.join([str(ROOT), str(site)])
        command = [sys.executable, __file__, "--drive", str(folder), "--cells", str(n_cells)]
        n_each = max(1, n_cells // 10)
        print(f"{n_cells:,} cells {'of real work' if options.soak else 'that return at once'}")
        with log.open("wb") as out:
            child = subprocess.Popen(
                [*command, *(["--soak"] if options.soak else [])],
                stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": paths},
            )  # fmt: skip
            try:
                looks = follow(child, log, n_each)
            finally:
                child.send_signal(signal.SIGINT)  # without effect once it has ended
                child.wait()
        if child.returncode:
            sys.exit(log.read_text()[-4000:])
        from sweeps.store.store import ResultStore

        rows = ResultStore(folder).rows(["started_at", "status"])
        started_s = np.sort([row["started_at"].timestamp() for row in rows])
        statuses = {s: sum(r["status"] == s for r in rows) for s in {r["status"] for r in rows}}
        print(f"{statuses}; {log.read_text().splitlines()[-1]}")
        gaps = np.diff(started_s) * 1e3
        first, last = float(gaps[:n_each].mean()), float(gaps[-n_each:].mean())
        held = (
            ""
            if options.soak
            else f"; at most {LIMIT_MS:g} asked: {'held' if max(first, last) <= LIMIT_MS else 'NOT HELD'}"
        )
        each = " ".join(f"{part.mean():.0f}" for part in np.array_split(gaps, 10))
        print(f"ms per cell in each tenth: {each}")
        print(f"ms per cell: first tenth {first:.1f}, last tenth {last:.1f}, ratio {last / first:.2f}{held}")
        for role in ROLES:
            if options.soak:
                print(f"{role}: least MB in each tenth: {' '.join(f'{mb:.0f}' for mb in floors(looks, role))}")
                continue
            middle, low, high = slope(looks, role)
            print(f"{role} grows by {middle / 1e3:.2f} kB a cell [{low / 1e3:.2f}, {high / 1e3:.2f}]")
        if options.plot:
            plot(looks, started_s, options.plot)


if __name__ == "__main__":
    main()
