"""The sentences that the report on memory begins with."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells.groups import full_name
from analysis.cells.rows import first, items
from analysis.contract.cells import LEAK_BYTES_PER_STEP
from analysis.subjects.memory.quantities import Fit, verdict_counts
from analysis.text import counted, escape, gibibytes, is_missing, number, share

MAX_SENTENCES = 8
"""Settings that ran out of memory told one by one; the table has all."""
MAX_TOLD = 5
"""Settings of which the growth is told."""


def fit_sentences(found: Sequence[Fit]) -> list[str]:
    """Where memory ended, for each way of doing a task; how close to the end the others came, in one sentence."""
    ended = [fit for fit in found if fit.smallest_oom is not None]
    said = [_ended_sentence(fit) for fit in ended[:MAX_SENTENCES]]
    if len(ended) > MAX_SENTENCES:
        said.append(
            f"{counted(len(ended) - MAX_SENTENCES, 'more setting')} ran out of memory: see the table of what fits."
        )
    others = [fit for fit in found if fit.smallest_oom is None and not is_missing(fit.row.get("peak_bytes"))]
    if others:
        most = max(others, key=lambda fit: float(fit.row["peak_bytes"]))
        none = "No cell of the other settings" if ended else "No cell"
        said.append(f"{none} ran out of memory; the largest peak is {_took(most)}, at batch {most.largest:,}"
                    f"{_with(most)}.")  # fmt: skip
    return said


def _with(fit: Fit) -> str:
    return f" with {escape(fit.name)}" if fit.name else ""


def _ended_sentence(fit: Fit) -> str:
    what = f"With {escape(fit.name)} batch" if fit.name else "Batch"
    if fit.largest is None:
        return f"{what} {fit.smallest_oom:,} does not fit; no smaller batch was measured."
    end = "did not fit although it is smaller: something else used memory" if fit.is_contradictory else "did not fit"
    took = "" if is_missing(fit.row.get("peak_bytes")) else f", at {_took(fit)}"
    return (
        f"{what} **{fit.largest:,}** is the largest measured batch that fits{took}; batch {fit.smallest_oom:,} {end}."
    )


def _took(fit: Fit) -> str:
    """``42.9 GiB, 53.7 % of the total``."""
    part = fit.row["capacity_share_ratio"]
    return f"{gibibytes(fit.row['peak_bytes'])} GiB" + ("" if is_missing(part) else f", {share(part)} of the total")


def growth_sentence(found: Sequence[Fit]) -> list[str]:
    """What a further item takes, where memory is known to rise with the batch."""
    rising = [f for f in found if f.growth.is_rising]
    # Of a process much else is part of the memory: its slope is told only where no device counts its own.
    rising = [f for f in rising if not is_missing(f.row["device_peak_allocated_bytes"])] or rising
    told = [f"{f.growth.per_item_bytes.times(2**-20).text} MiB{_with(f)}" for f in rising[:MAX_TOLD]]
    return (
        [f"Each additional {escape(items(rising[0].row).removesuffix('s'))} takes {'; '.join(told)}."] if told else []
    )


def leak_sentences(cells: pd.DataFrame) -> list[str]:
    """How many cells leak, which, and how fast the worst does."""
    if cells.empty:
        return ["Leaks were not checked for; `--leak-check` does that."]
    limit = f"{LEAK_BYTES_PER_STEP // 2**10} KiB per step"
    counts, said = verdict_counts(cells), []
    if "leak" in counts:
        worst = first(cells)
        rate = number(worst["growth_bytes_per_step"] / 2**10)
        said.append(f"**{counts['leak']} of {counted(len(cells))} leak** more than {limit}; the worst, "
                    f"{escape(full_name(cells, worst))}, grows by {rate} KiB per step.")  # fmt: skip
    if "undecided" in counts:
        said.append(f"{counts['undecided']} of {counted(len(cells))} cannot be decided: the interval of the growth "
                    f"includes {limit}.")  # fmt: skip
    if list(counts) == ["none"]:
        said.append(f"No leak: memory grows by less than {limit} in every cell checked ({len(cells):,}).")
    return said
