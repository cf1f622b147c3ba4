"""``kill -9`` of the driver, of a worker and of the raylet at random moments of a sweep's life, many times.

    python tests/benchmarks/kills.py [--seeds 20] [--what driver worker raylet] [--jobs 1]

Each seed is a sweep of six short cells of a third party's workload. The victim dies at a random moment: before the
first row (while Python and Ray start) or within a second after a random row. Then the sweep is resumed to its end.
Told are rows lost (on disk before the kill, gone or changed at the end), rows doubled, cells without a row at the end,
processes left ten seconds after the end, wrong exit codes, and seconds from the kill to the end of the driver.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.sweeps.whole.faulty.faults import Faulted

N_CELLS = 6
STARTING_S = 10.0
VICTIMS = ("driver", "worker", "raylet")


def rows_of(sweep: Faulted) -> pd.DataFrame:
    """Every row of every file, doubled or not."""
    files = sorted(sweep.output.glob("*/trials/[!._]*.parquet"))
    columns = ["trial_key", "started_at", "status"]
    tables = [pq.read_table(f, partitioning=None, columns=columns).to_pandas() for f in files]
    return pd.concat(tables) if tables else pd.DataFrame(columns=columns)


def once(what: str, seed: int) -> dict[str, float]:
    """Kill once and resume; what went wrong, in counts."""
    with tempfile.TemporaryDirectory() as scratch:
        found = _once(what, seed, Path(scratch))
    print(f"{what} seed {seed}: {found}", file=sys.stderr, flush=True)
    return found


def _once(what: str, seed: int, folder: Path) -> dict[str, float]:
    moment = random.Random(f"{what} {seed}")
    sweep = Faulted(folder, "--cell", *(str(i) for i in range(N_CELLS)))
    sweep.start()
    n = moment.randrange(N_CELLS)
    sweep.wait_for_rows(n)
    wait_s = moment.uniform(0, STARTING_S if n == 0 and what == "driver" else 1.0)
    time.sleep(wait_s)
    while what != "driver" and not list(sweep.output.glob("*/sweep.json")):
        time.sleep(0.01)  # the driver has not started Ray yet
    before = rows_of(sweep)
    try:
        sweep.kill(what, moment, within_s=0.0)
    except (AssertionError, ProcessLookupError):
        what = "nobody"  # the sweep had ended
    killed = time.monotonic()
    code = sweep.wait()
    seconds = time.monotonic() - killed
    allowed = {"driver": {-9}, "worker": {0, 1}, "raylet": {0, 1}, "nobody": {0}}[what]
    is_told = what != "raylet" or code == 0 or "continue with" in sweep.said or "cells: " in sweep.said
    wrong = int(code not in allowed) + int(not is_told) + int("Traceback" in sweep.said)
    n_orphans = len(sweep.orphans(within_s=10))
    if not list(sweep.output.glob("*/sweep.json")):
        return {"lost": 0, "doubled": 0, "missing": 0, "orphans": n_orphans, "wrong": wrong, "seconds": seconds}
    code = sweep.run()
    rows = rows_of(sweep)
    wrong += int(code != int((rows["status"] == "crashed").any())) + int("Traceback" in sweep.said)
    both = before.merge(rows, on=["trial_key", "started_at", "status"], how="left", indicator=True)
    if wrong:
        print(f"{what} seed {seed}: exit code {code}; {sweep.said}")
    return {
        "lost": int((both["_merge"] != "both").sum()),
        "doubled": int(rows["trial_key"].duplicated().sum()),
        "missing": N_CELLS - rows["trial_key"].nunique(),
        "orphans": n_orphans + len(sweep.orphans(within_s=10)),
        "wrong": wrong,
        "seconds": seconds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1, help="sweeps at a time; one for every two cores")
    parser.add_argument("--what", nargs="+", choices=VICTIMS, default=VICTIMS)
    options = parser.parse_args()
    failed = False
    for what in options.what:
        with ThreadPoolExecutor(options.jobs) as pool:
            table = pd.DataFrame(pool.map(partial(once, what), range(options.seeds)))
        counts = ", ".join(f"{name} {table[name].sum()}" for name in ("lost", "doubled", "missing", "orphans", "wrong"))
        print(f"kill -9 of the {what}, {options.seeds} seeds: {counts}; driver ended after a median of"
              f" {table['seconds'].median():.1f} s, at most {table['seconds'].max():.1f} s", flush=True)  # fmt: skip
        failed |= bool(table[["lost", "doubled", "missing", "orphans", "wrong"]].to_numpy().any())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
