"""Memory: peaks over the batch size, what fits, whether anything leaks: ``python analysis/report_memory.py``.

Numbers come from ``memory.py``, figures from ``memory_figures.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # this folder's files are no top-level modules

import pandas as pd

from analysis import memory_tables as tables
from analysis.cells.groups import Group, full_name, groups, task_columns, word_columns
from analysis.cells.rows import records
from analysis.memory import COLUMNS, LEAK_BYTES_PER_STEP, Fit, fits, leaks, peaks, verdict_counts
from analysis.memory_figures import MAX_LINES, MAX_ROWS, draw_leaks, draw_peaks
from analysis.page.command_line import run_main, run_report
from analysis.page.sections import Drawings, counted, draw_each, fill, identified, listed, titled
from analysis.read.sweeps import Page
from analysis.text import escape, gibibytes, is_missing, number, share

NAME = "report_memory"
MAX_SENTENCES = 8
_MANY = 5


def fit_sentences(found: Sequence[Fit]) -> list[str]:
    """Where memory ended, for each way of doing a task; how close to the end the others came, in one sentence."""
    ended = [fit for fit in found if fit.smallest_oom is not None]
    said = [_ended_sentence(fit) for fit in ended[:MAX_SENTENCES]]
    if len(ended) > MAX_SENTENCES:
        said.append(f"So it is with {counted(len(ended) - MAX_SENTENCES, 'more setting')}: see what fits, below.")
    others = [fit for fit in found if fit.smallest_oom is None and not is_missing(fit.row.get("peak_bytes"))]
    if others:
        most = max(others, key=lambda fit: float(fit.row["peak_bytes"]))
        where = f" with {escape(most.name)}" if most.name else ""
        rest = " of the other settings" if ended else ""
        said.append(
            f"None{rest} ended out of memory; the largest peak is {_took(most)}, at batch {most.largest:,}{where}."
        )
    return said


def _ended_sentence(fit: Fit) -> str:
    what = f"With {escape(fit.name)} batch" if fit.name else "Batch"
    if fit.largest is None:
        return f"{what} {fit.smallest_oom:,} does not fit, and no smaller one was measured."
    end = "did not fit, though smaller: something else took memory" if fit.is_contradictory else "did not fit"
    took = "" if is_missing(fit.row.get("peak_bytes")) else f", at {_took(fit)}"
    return f"{what} **{fit.largest:,}** is the largest measured that fits{took}; {fit.smallest_oom:,} {end}."


def _took(fit: Fit) -> str:
    """``42.9 GiB, 53.7 % of all there is``."""
    part = fit.row["capacity_share_ratio"]
    return f"{gibibytes(fit.row['peak_bytes'])} GiB" + ("" if is_missing(part) else f", {share(part)} of all there is")


def growth_sentence(found: Sequence[Fit]) -> list[str]:
    """What a further item takes, where memory is known to rise with the batch."""
    rising = [f for f in found if f.growth.low is not None and f.growth.low > 0 and f.growth.per_item_bytes]
    # Of a process much else is part of the memory: its slope is told only where no device counts its own.
    own = [f for f in rising if not is_missing(f.row["device_peak_allocated_bytes"])]
    rising = own or rising
    told = [
        f"{number(f.growth.per_item_bytes * 2**-20, f.growth.low * 2**-20, f.growth.high * 2**-20)} MiB"  # type: ignore[operator]
        f"{f' with {escape(f.name)}' if f.name else ''}"
        for f in rising[:_MANY]
    ]
    return [f"Each further {_item(rising[0])} takes {listed(told)}."] if told else []


def _item(fit: Fit) -> str:
    item = fit.row.get("item")
    return "item" if is_missing(item) else escape(str(item).removesuffix("s"))


def leak_sentences(cells: pd.DataFrame) -> list[str]:
    """How many cells leak, which, and how fast the worst does."""
    if cells.empty:
        return ["Leaks were not looked for; a sweep with `--leak-check` does."]
    limit = f"{LEAK_BYTES_PER_STEP // 2**10} KiB per step"
    counts, said = verdict_counts(cells), []
    if "leak" in counts:
        worst = records(cells.head(1))[0]
        rate = number(worst["growth_bytes_per_step"] / 2**10)
        said.append(f"**{counts['leak']} of {counted(len(cells))} leak** more than {limit}; the worst, "
                    f"{escape(full_name(cells, worst))}, takes {rate} KiB more with every step.")  # fmt: skip
    if "undecided" in counts:
        said.append(f"Of {counts['undecided']} of {counted(len(cells))} it cannot be told: the interval of the growth "
                    f"holds {limit}.")  # fmt: skip
    if list(counts) == ["none"]:
        said.append(f"No leak: memory grows by less than {limit} in all of {counted(len(cells))} that were looked at.")
    return said


def _draw_peaks(path: Path, group: Group) -> str | None:
    known = peaks(group.cells)
    if known.empty or known["batch_size"].nunique() + (group.cells["status"] == "oom").sum() < 2:
        return None
    has_own = known["device_peak_allocated_bytes"].notna().any()
    whose = "device memory" if has_own else "memory of the process"
    title = titled(f"Peak {whose} over batch size", group)
    n = draw_peaks(path, group.cells, title=title, y_label=f"peak {whose} (GiB)")
    left = f", the first {MAX_LINES} of {n} lines" if n > MAX_LINES else ""
    failed = ", crosses where a batch ended out of memory" if (group.cells["status"] == "oom").any() else ""
    return f"{title}{failed}{left}"


def _draw_leaks(frame: pd.DataFrame, folder: Path) -> Drawings:
    if frame.empty or not (frame["leak_verdict"] != "none").any():  # a picture of zeros says no more than a sentence
        return Drawings()
    path, title = folder / "leaks.png", "Growth of memory while a step repeats"
    left = f" (the first {MAX_ROWS} rows)" if len(frame) > MAX_ROWS else ""
    names = [*word_columns(frame), *(["batch_size"] if frame["batch_size"].notna().any() else [])]
    draw_leaks(path, frame, names, title=f"{title}{left}")
    return Drawings(figures=[(path, f"{title}: slope and 95 % interval in KiB per step, worst first{left}")])


def build(page: Page) -> str:
    """The report's Markdown; its figures are written into the page's folder."""
    frame = identified(page, COLUMNS)
    found, looked_at = fits(frame), leaks(frame)
    by_device = groups(frame, [*task_columns(frame), "device"])
    answer = [*fit_sentences(found), *growth_sentence(found)]
    return fill(
        f"{NAME}.md.j2", page, "Memory",
        answer=[*answer, *leak_sentences(looked_at)] if answer else [],
        peak_figures=draw_each(by_device, page.figures, "memory", _draw_peaks),
        fits=tables.fits_table(frame, found),
        peaks=tables.peaks_table(frame),
        leak_figures=_draw_leaks(looked_at, page.figures),
        leaks=tables.leaks_table(frame),
        limit=f"{LEAK_BYTES_PER_STEP // 2**10} KiB",
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    told = "Write the report on memory: peaks, what fits, leaks."
    return run_report(arguments, name=NAME, description=told, build=build, columns=COLUMNS)


if __name__ == "__main__":
    sys.exit(run_main(main))
