"""What a reader must know before believing a sweep's numbers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells.columns import CELL_COLUMNS
from analysis.cells.fallbacks import fallbacks
from analysis.cells.naming import equals, labels, out_of, varying, words_of
from analysis.cells.torch_versions import old_torch
from analysis.contract.allocators import DEFAULT, KEEP_MEMORY
from analysis.page.agreement import other_types, without_agreement
from analysis.page.caveats.caveat import INVALID, OFF, TOLD, Caveat, heaviest_first, off_by
from analysis.page.caveats.machines import of_machines
from analysis.page.caveats.wide_intervals import wide_intervals
from analysis.text import counted, listed, some

MAX_FILES = 5  # files named of those that cannot be read
MAX_NAMED = 8  # cells named of those with a wrong answer
BUSY_RATIO = 0.1  # share of the machine's CPU time in other processes' hands from which a cell counts as disturbed
SYSTEM_TIME_RATIO = 0.1
"""The kernel's share of the processor time from which a cell is named for the page faults in each of its steps."""
SLOW_TIMES = 2.0
"""Times fp32's time from which a smaller precision on a CPU is no slow kernel or two, but converted throughout."""
MIN_RETRIES = 0.1
"""Retries of the allocator in a step from which they, and not the first steps' search for room, are told."""
FRESH_BYTES = 2**20  # bytes taken anew in a step under which they are not the kernel's work
MIN_AGREEMENT_RATIO = 0.99
"""Share of items with the reference's best class under which a cell's answers count as different."""
WRONG = "wrong-result"
"""Status reason of a cell whose answer its precision does not explain (``sweeps/cell/outcome.py``)."""


def caveats(
    frame: pd.DataFrame, n_cells: int | None, unreadable: Sequence[str], n_missing: int | None = None
) -> list[Caveat]:
    """What is wrong with a sweep's measurements, the heaviest first.

    ``n_cells`` were asked for, repeats included (None: unknown), of which ``n_missing`` (else those that are no row)
    are not there, and the files named ``unreadable`` were skipped.
    """
    n_missing = (n_cells or 0) - len(frame) if n_missing is None else n_missing
    done = frame[frame["status"] == "complete"]
    plain = [
        (INVALID, [*_timing(done), *_wrong_answers(frame), *other_types(frame), *fallbacks(frame)]),
        (OFF, old_torch(frame)),
        (OFF, left_out(unreadable, n_missing, n_cells)),
        (TOLD, [*_inputs(frame, done), *_slow_precisions(done), *_precision_notes(done)]),
    ]
    told = [Caveat(text=text, weight=weight) for weight, texts in plain for text in texts]
    rest = [Caveat(text=text) for text in (*without_agreement(done), *of_machines(frame))]
    of_cells = [*wide_intervals(done), *_stability(done), *_memory(done), *_full_device(done), *_other_answers(done)]
    return heaviest_first([*told, *of_cells, *rest])


def _of(n: int, one: str, many: str) -> str:
    return one if n == 1 else many


def _timing(done: pd.DataFrame) -> list[str]:
    failed, unknown = equals(done, "timing_verified", False), done["timing_verified"].isna()
    on_failed, on_unknown = (", ".join(words_of(done.loc[mask, "device"])) for mask in (failed, unknown))
    told = [
        (failed, f"The timer did not pass its proof on {on_failed}: times measured there cannot be trusted."),
        (unknown, f"The timer was not proven on {on_unknown}: the times of {out_of(unknown)} may be wrong."),
    ]
    return [text for mask, text in told if mask.any()]


def _wrong_answers(frame: pd.DataFrame) -> list[str]:
    """Cells that ran and gave a wrong answer: whatever their speed, nobody should choose them."""
    is_wrong = equals(frame, "status_reason", WRONG)
    if not is_wrong.any():
        return []
    what = [c for c in ("pipeline", "model", "implementation", "device", "precision") if c in frame]
    names = list(dict.fromkeys(labels(frame[is_wrong], what)))
    worst = frame.loc[is_wrong, "max_rel_diff"].max()
    off = "" if pd.isna(worst) else f", by up to {100 * worst:.2g} % of the largest value"
    measured = is_wrong[is_wrong | (frame["status"] == "complete")]
    return [f"{out_of(measured)} gave a wrong answer{off}, which their precision does not explain; they are"
            f" not recommended, whatever their speed: {some(names, MAX_NAMED, '; ')}."]  # fmt: skip


def _inputs(frame: pd.DataFrame, done: pd.DataFrame) -> list[str]:
    said = []
    random = equals(done, "weights", "random")
    if random.any():
        models = ", ".join(words_of(done.loc[random, "model"]))
        said.append(f"Random weights, since none were available: {models}. Speeds are valid; answers are meaningless.")
    if equals(done, "input_is_synthetic", True).any():
        said.append("Some input was made up: random numbers, or numbers like those of a model's example inputs.")
    skipped = frame["n_images_skipped"].max()
    if skipped > 0:
        images = _of(skipped, "input image did not decode and was", "input images did not decode and were")
        said.append(f"{int(skipped)} {images} left out.")
    decoders = words_of(done.loc[equals(done, "implementation", "eager"), "decoder"])
    if len(decoders) > 1:
        said.append(f"Cells that name no decoder used {listed(decoders)}; --implementation selects one.")
    said += [f"Files in the input folder that were not read: {what}." for what in words_of(done["input_left_out"])]
    return said


def left_out(
    unreadable: Sequence[str], n_missing: int, n_cells: int | None = None, sweep: str = "the sweep"
) -> list[str]:  # fmt: skip
    """Files that were skipped, and cells without a row: ``n_missing`` where over zero, of ``n_cells`` where known."""
    said, names = [], list(dict.fromkeys(unreadable))
    if n := len(names):
        said.append(f"{counted(n, 'file')} could not be read, or {_of(n, 'does', 'do')} not belong to the sweep, and"
                    f" {_of(n, 'was', 'were')} left out: {some(names, MAX_FILES)}.")  # fmt: skip
    if n_missing > 0:
        missing = counted(n_missing) if n_cells is None else f"{n_missing:,} of the {counted(n_cells)}"
        said.append(f"{missing} {_of(n_missing, 'is', 'are')} missing: {sweep} did not finish.")
    return said


def _stability(done: pd.DataFrame) -> list[Caveat]:
    spread = "the interquartile range of the steps is over {} % of the median"
    busy = f"shared the machine with other work that took over {100 * BUSY_RATIO:.0f} % of its CPU time"
    slowed = " from the first to the last round for no reported reason: perhaps heat"
    tests = [
        ("step_iqr_ratio", equals(done, "stability", "very unstable"), "is", "are",
         f" very unstable: {spread.format(25)}"),
        ("step_iqr_ratio", equals(done, "stability", "unstable"), "is", "are", f" unstable: {spread.format(10)}"),
        ("drift_ratio", equals(done, "is_throttled", True), "ran", "ran", " while the device throttled"),
        ("drift_ratio", done["is_throttled"].isna() & done["throttle_reasons"].notna(), "slowed down", "slowed down",
         slowed),
        ("drift_ratio", equals(done, "is_drifting", True), "drifted", "drifted", " while measured"),
        ("other_load_ratio", done["other_load_ratio"] > BUSY_RATIO, busy, busy, ""),
        ("", equals(done, "leak_verdict", "leak"), "leaks", "leak", " memory on every step"),
    ]  # fmt: skip
    return [
        _of_cells(f"{out_of(m)} {_of(m.sum(), one, many)}{rest}.", done, m, done[by].abs() if by else None)
        for by, m, one, many, rest in tests
        if m.any()
    ]


def _of_cells(text: str, done: pd.DataFrame, mask: pd.Series, by: pd.Series | None) -> Caveat:
    """A caveat on the cells of a mask, those first whose figures may be off most, by the share ``by``."""
    if by is None:
        return Caveat(text=text, cells=done[mask])
    worst = by[mask].sort_values(ascending=False, kind="stable")
    return Caveat(text=text, cells=done.loc[worst.index], weight=off_by(worst.max(), mask))


def _slow_precisions(done: pd.DataFrame) -> list[str]:
    """Precisions that a processor has no instructions for: far slower than fp32 in cells alike but for that."""
    cells = done[equals(done, "device", "cpu")]
    measured = words_of(cells["precision"])
    narrow = [name for name in measured if name.startswith(("bf16", "fp16")) and "fp32" in measured]
    if not narrow:
        return []
    alike = dict.fromkeys(["device", *varying(cells, ("host", *CELL_COLUMNS)), "precision"])
    speeds = cells.groupby(list(alike), dropna=False)["throughput_items_per_s"].max().unstack("precision")
    used = ", ".join(words_of(cells["cpu_capability"]))
    said = []
    for precision in narrow:
        times = (speeds["fp32"] / speeds[precision]).dropna().median()
        if times > SLOW_TIMES:  # never of NaN, where no pair is known
            said.append(f"{precision} takes {times:.2g} times as long as fp32 on cpu: a processor without instructions"
                        f" for it converts every number{f'; PyTorch uses {used} here' if used else ''}."
                        " --precision fp32 leaves it out.")  # fmt: skip
    return said


def _precision_notes(done: pd.DataFrame) -> list[str]:
    """What devices make of a precision; a CPU's slow ones are told by their cells where there are cells to compare."""
    told = " ".join(_slow_precisions(done))
    noted = done[["device", "precision", "precision_note"]].dropna().drop_duplicates(["device", "precision"])
    return [f"On {row['device']} {row['precision_note']}." for row in noted.to_dict("records")
            if not (row["device"] == "cpu" and f"{row['precision']} takes" in told)]  # fmt: skip


def takes_memory_anew(frame: pd.DataFrame) -> pd.Series:
    """Cells on the CPU whose steps do not find the last one's memory: the kernel's work is in their time."""
    is_much = (frame["page_fault_bytes_per_step"] > FRESH_BYTES) & (frame["system_time_ratio"] > SYSTEM_TIME_RATIO)
    return (frame["device"] == "cpu") & is_much.fillna(False).astype(bool)


def _memory(done: pd.DataFrame) -> list[Caveat]:
    anew = takes_memory_anew(done)
    if not anew.any():
        return []
    worst = done.loc[done.loc[anew, "system_time_ratio"].idxmax()]
    fresh, kernel = worst["page_fault_bytes_per_step"] / 2**20, 100 * worst["system_time_ratio"]
    said = (f"{out_of(anew)} {_of(anew.sum(), 'spends', 'spend')} up to {kernel:.0f} % of the processor time in page"
            f" faults ({fresh:,.0f} MiB per step at batch {worst['batch_size']} in {worst['precision']}).")  # fmt: skip
    if ", ".join(words_of(done.loc[anew, "os"])).startswith("Linux"):
        said += (f" Another run may be faster or slower by as much. --allocator {DEFAULT} kept measures what"
                 f" it costs: with {KEEP_MEMORY} set before a command, glibc keeps the memory, in your programs"
                 " too.")  # fmt: skip
    return [_of_cells(said, done, anew, done["system_time_ratio"])]


def retries_allocations(frame: pd.DataFrame) -> pd.Series:
    """Cells so near to the end of the device's memory that the allocator empties its cache again and again."""
    return (frame["allocation_retries_per_step"] >= MIN_RETRIES).fillna(False).astype(bool)


def _full_device(done: pd.DataFrame) -> list[Caveat]:
    full = retries_allocations(done)
    if not full.any():
        return []
    worst = done.loc[done.loc[full, "allocation_retries_per_step"].idxmax()]
    said = (f"{out_of(full)} {_of(full.sum(), 'is', 'are')} slower because device memory is full: PyTorch's allocator"
            f" released its cache and retried {worst['allocation_retries_per_step']:.1f} times per step at"
            f" batch {worst['batch_size']} in {worst['precision']}. A slightly smaller batch is faster.")  # fmt: skip
    return [_of_cells(said, done, full, done["allocation_retries_per_step"])]


def _other_answers(done: pd.DataFrame) -> list[Caveat]:
    """Complete cells whose answers are not wrong and differ from the reference's."""
    said = []
    nonfinite, differs = done["n_nonfinite"] > 0, done["top1_agreement_ratio"] < MIN_AGREEMENT_RATIO
    if nonfinite.any():
        text = f"{out_of(nonfinite)} gave NaN or infinity where the reference has none."
        said.append(Caveat(text=text, weight=INVALID, cells=done[nonfinite]))
    if differs.any():
        worst = done.loc[done["top1_agreement_ratio"].idxmin()]
        text = (f"{out_of(differs)} agreed with the reference on the best class for fewer than 99 % of the items;"
                f" the lowest, {100 * worst['top1_agreement_ratio']:.1f} %, on {worst['device']} in"
                f" {worst['precision']}.")  # fmt: skip
        said.append(_of_cells(text, done, differs, 1 - done["top1_agreement_ratio"]))
    return said
