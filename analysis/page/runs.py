"""What a page says of the runs behind its figures, and the column of the spread between them."""

from __future__ import annotations

import math

import pandas as pd

from analysis.cells.naming import present
from analysis.cells.pooling import MOVED
from analysis.cells.rows import Row, complete, records
from analysis.contract.runs import ACCURACY_SD, N_RUNS, SPEED_SD
from analysis.page.caveats.caveat import OFF, Caveat
from analysis.page.columns import Column, part
from analysis.stats.estimate import known
from analysis.text import counted, escape, is_missing, share, significant

SPREAD_COLUMNS = (
    Column("runs", lambda row: f"{int(row[N_RUNS])}", [SPEED_SD]),
    part("standard deviation between runs", SPEED_SD),
)
"""Of a cell: how many runs its figures are of, and how far their throughputs differ; left out of single runs."""


def spread_of(row: Row) -> str:
    """``, 3 runs, standard deviation 0.8 %`` for brackets behind a speed; empty of a single run."""
    sd = known(row.get(SPEED_SD))
    return "" if sd is None else f" ({int(row[N_RUNS])} runs, standard deviation {share(sd)})"


def accuracy_spread_of(row: Row) -> str:
    """The same of an accuracy."""
    sd = known(row.get(ACCURACY_SD))
    return "" if not sd else f" (mean of {int(row[N_RUNS])} runs, standard deviation {share(sd)})"


def told_of_runs(frame: pd.DataFrame) -> list[Caveat]:
    """How far the cells of a page differ from one run to the next, as far as that is known."""
    done = complete(frame)
    if done.empty or N_RUNS not in done:
        return []
    if is_repeated(done):
        return [_pooled(done[done[SPEED_SD].notna() & done[MOVED].isna()], len(done)), *_moved(done)]
    return _moved(done) or (_unknown(done) if len(done) > 1 else [])


def is_repeated(frame: pd.DataFrame) -> bool:
    """Whether intervals are over the runs of cells, and not within the one that there is."""
    return bool((frame[SPEED_SD].notna() & frame[MOVED].isna()).any())


def _pooled(repeated: pd.DataFrame, n: int) -> Caveat:
    sds = repeated[SPEED_SD].astype(float)
    runs = sorted({int(v) for v in repeated[N_RUNS]})
    told = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
    which = "Each cell's figures are" if len(repeated) == n else f"The figures of {len(repeated):,} of {counted(n)} are"
    varies = math.sqrt((sds**2).mean())
    text = (f"{which} from {told} runs, each in a fresh process: speeds are geometric means with an interval over the"
            " runs (Student's t on logarithms, the spread between runs pooled over the cells: Smyth, Stat. Appl. Genet."
            f" Mol. Biol. 3:1, 2004). From run to run a cell varies by {share(varies)} (standard"
            f" deviation; at most {share(sds.max())}).")  # fmt: skip
    return Caveat(text=text, weight=OFF + min(0.99, varies), is_markdown=True)


def _moved(done: pd.DataFrame) -> list[Caveat]:
    names = present(done, ["host"]) if done["host"].nunique() > 1 else []
    moved = done[done[MOVED].notna()].drop_duplicates([*names, "device"])
    return [
        Caveat(
            text=f"The first cell of {escape(row['device'])}{_on(row, names)} was measured again at the end, in a fresh"
            f" process, and differed by {significant(100 * (row[MOVED] - 1), 2)} %: smaller differences there are not"
            " considered real (`--repeats` resolves smaller ones).",
            weight=OFF + min(0.99, float(row[MOVED]) - 1), is_markdown=True,
        )
        for row in records(moved)
    ]  # fmt: skip


def _on(row: Row, names: list[str]) -> str:
    return f" on {escape(row['host'])}" if names and not is_missing(row["host"]) else ""


def _unknown(done: pd.DataFrame) -> list[Caveat]:
    """Nothing of a small sweep says how far its machine moves by itself."""
    text = "Each cell was measured once: how much another run would differ is unknown (`--repeats 3` shows it)."
    return [Caveat(text=text, is_markdown=True)]
