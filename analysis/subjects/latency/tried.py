"""The rates that a search for the highest one tried, one row a run, and their table."""

from __future__ import annotations

import math

import pandas as pd

from analysis.cells.rows import complete
from analysis.contract.cells import SERVER
from analysis.contract.choice import P99_COLUMNS
from analysis.page.columns import Column, cell_table, count, plain
from analysis.subjects.latency.quantities import PERCENTILES

SEEN, BOUND = P99_COLUMNS
_ROUND = ["rate_per_s", "n_requests", SEEN, BOUND, "held"]


def tried_rates(frame: pd.DataFrame, rounds: pd.DataFrame) -> pd.DataFrame:
    """A row for each rate that a search tried: the cell's columns, with what the run at that rate gave.

    Rate, requests, p99 and its bound are those of the table of rounds; the other percentiles are known of the run that
    is told alone: at the highest rate that held, or the lowest tried.
    """
    cells = complete(frame)
    cells = cells[(cells["scenario"] == SERVER) & cells["rate_per_s"].isna()]
    keys = ["sweep", "trial_key"]
    runs = rounds[rounds["rate_per_s"].notna()] if "sweep" in rounds else rounds.assign(sweep=None).head(0)
    found = cells.drop(columns=[c for c in cells if c in _ROUND]).merge(runs[[*keys, *_ROUND]], on=keys)
    told = found["max_rate_per_s"].fillna(found.groupby(keys)["rate_per_s"].transform("min"))
    found.loc[found["rate_per_s"] != told, [c for c in PERCENTILES.values() if c != SEEN]] = math.nan
    return found


def tried_table(tried: pd.DataFrame) -> str:
    """One row a rate."""
    words = {True: "yes", False: "no"}
    columns = [
        plain("arrivals (1/s)", "rate_per_s"),
        count("requests", "n_requests"),
        plain("measured p99 (ms)", SEEN, 1e3),
        plain("upper bound of p99 (ms)", BOUND, 1e3),
        plain("limit (ms)", "deadline_s", 1e3),
        Column("within the limit", lambda row: words.get(row["held"], ""), ["held"]),
    ]
    return cell_table(tried, columns, without=["rate_per_s"])
