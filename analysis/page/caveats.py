"""What a reader must know before believing a sweep's numbers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells.columns import CELL_COLUMNS
from analysis.cells.naming import equals, out_of
from analysis.page.agreement import other_answers, wrong_answers
from analysis.text import counted, escape, some

MAX_FILES = 5
"""Files named of those that cannot be read."""
BUSY_RATIO = 0.1
"""Share of the machine's CPU time in other processes' hands from which a cell counts as disturbed."""
SYSTEM_TIME_RATIO = 0.1
"""The kernel's share of the processor time from which a cell that takes memory anew in each step is told."""
SLOW_TIMES = 2.0
"""Times fp32's time from which a smaller precision on a CPU is no slow kernel or two, but converted throughout."""
MIN_RETRIES = 0.1
"""Retries of the allocator in a step from which they, and not the first steps' search for room, are told."""
FRESH_BYTES = 2**20
"""Bytes taken anew in a step under which they are not the kernel's work."""

KEEP_MEMORY = "MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184"
"""Settings of glibc's malloc (mallopt(3)): no block is mapped on its own, and nothing under 16 GiB is handed back."""

VERSIONS = {
    "torch_version": "torch", "torchvision_version": "torchvision", "python_version": "Python",
    "accelsweep_version": "accelsweep", "git_commit": "this program (commits)",
}  # fmt: skip
"""What is installed on a machine, by the column that records it; drivers are told apart by device."""
CLOCK_S = 0.1
"""Clocks that differ by less count as equal."""


def as_markdown(text: str) -> str:
    """A sentence of ``caveats`` escaped, the settings it names as code to be copied."""
    return escape(text).replace(escape(KEEP_MEMORY), f"`{KEEP_MEMORY}`")


def caveats(frame: pd.DataFrame, n_cells: int | None, unreadable: Sequence[str]) -> list[str]:
    """What is wrong with the measurements, most important first; empty where nothing is known to be.

    Args:
        frame: Trials, as ``load_sweep`` gives them.
        n_cells: Cells asked for; None where that is unknown.
        unreadable: Names of the files that were skipped.

    Returns:
        Sentences, not escaped.
    """
    done, lost = frame[frame["status"] == "complete"], left_out(unreadable, (n_cells or 0) - len(frame), n_cells)
    return [*_timing(done), *wrong_answers(frame), *_inputs(frame, done), *lost,
            *_stability(done), *_slow_precisions(done), *_memory(done), *_full_device(done), *other_answers(done),
            *_machines(frame)]  # fmt: skip


def _of(n: int, one: str, many: str) -> str:
    return one if n == 1 else many


def _named(frame: pd.DataFrame, mask: pd.Series, column: str) -> str:
    return ", ".join(sorted(frame.loc[mask, column].dropna().astype(str).unique()))


def _timing(done: pd.DataFrame) -> list[str]:
    said = []
    failed, unknown = equals(done, "timing_verified", False), done["timing_verified"].isna()
    if failed.any():
        devices = _named(done, failed, "device")
        said.append(f"The timer did not pass its proof on {devices}: times measured there cannot be trusted.")
    if unknown.any():
        devices = _named(done, unknown, "device")
        said.append(f"The timer was not proven on {devices}: {out_of(unknown)} may be timed wrongly.")
    return said


def _inputs(frame: pd.DataFrame, done: pd.DataFrame) -> list[str]:
    said = []
    random = equals(done, "weights", "random")
    if random.any():
        models = _named(done, random, "model")
        said.append(f"Random weights, since none could be had: {models}. Speeds hold; answers mean nothing.")
    if equals(done, "input_is_synthetic", True).any():
        said.append("Some input was random numbers, as a flag asked.")
    skipped = frame["n_images_skipped"].max()
    if skipped > 0:
        images = _of(int(skipped), "input image", "input images")
        said.append(f"{int(skipped)} {images} did not decode and {_of(int(skipped), 'was', 'were')} left out.")
    return said


def left_out(
    unreadable: Sequence[str], n_missing: int, n_cells: int | None = None, sweep: str = "the sweep"
) -> list[str]:  # fmt: skip
    """Files that were skipped and cells that are missing.

    Args:
        unreadable: Names of the files.
        n_missing: Cells asked for without a row; none if it is not over zero.
        n_cells: All that were asked for, to be told beside them.
        sweep: What did not end, in words.
    """
    said, n = [], len(unreadable)
    if n:
        said.append(f"{counted(n, 'file')} could not be read and {_of(n, 'was', 'were')} left out:"
                    f" {some(unreadable, MAX_FILES)}.")  # fmt: skip
    if n_missing > 0:
        missing = counted(n_missing) if n_cells is None else f"{n_missing:,} of the {counted(n_cells)}"
        said.append(f"{missing} asked for {_of(n_missing, 'is', 'are')} missing: {sweep} did not end.")
    return said


def _stability(done: pd.DataFrame) -> list[str]:
    spread = "the middle half of the steps spreads over more than {} % of the median"
    busy = f"shared the machine with other work that took over {100 * BUSY_RATIO:.0f} % of its CPU time"
    tests = [
        (equals(done, "stability", "very unstable"), "is", "are", f" very unstable: {spread.format(25)}"),
        (equals(done, "stability", "unstable"), "is", "are", f" unstable: {spread.format(10)}"),
        (equals(done, "is_throttled", True), "ran", "ran", " while the device throttled"),
        (equals(done, "is_drifting", True), "drifted", "drifted", " while measured"),
        (done["other_load_ratio"] > BUSY_RATIO, busy, busy, ""),
        (equals(done, "leak_verdict", "leak"), "leaks", "leak", " memory with every step"),
    ]
    return [f"{out_of(m)} {_of(int(m.sum()), one, many)}{rest}." for m, one, many, rest in tests if m.any()]


def _slow_precisions(done: pd.DataFrame) -> list[str]:
    """Precisions that a processor has no instructions for: far slower than fp32 in cells alike but for that."""
    cells = done[equals(done, "device", "cpu")]
    alike = [c for c in ("host", *CELL_COLUMNS) if c in cells and c != "precision"]
    speeds = cells.groupby([*alike, "precision"], dropna=False)["throughput_items_per_s"].max().unstack("precision")
    said = []
    for precision in ("bf16", "fp16"):
        if not {precision, "fp32"} <= set(speeds):
            continue
        times = (speeds["fp32"] / speeds[precision]).dropna()
        if not times.empty and times.median() > SLOW_TIMES:
            used = _named(cells, cells["cpu_capability"].notna(), "cpu_capability")
            said.append(f"{precision} takes {times.median():.2g} times as long as fp32 on cpu: a processor without"
                        f" instructions for it converts every number{f'; PyTorch uses {used} here' if used else ''}."
                        " --precision fp32 leaves it out.")  # fmt: skip
    return said


def takes_memory_anew(frame: pd.DataFrame) -> pd.Series:
    """Cells on the CPU whose steps do not find the last one's memory: the kernel's work is in their time."""
    is_much = (frame["page_fault_bytes_per_step"] > FRESH_BYTES) & (frame["system_time_ratio"] > SYSTEM_TIME_RATIO)
    return (frame["device"] == "cpu") & is_much.fillna(False).astype(bool)


def _memory(done: pd.DataFrame) -> list[str]:
    anew = takes_memory_anew(done)
    if not anew.any():
        return []
    worst = done.loc[done.loc[anew, "system_time_ratio"].idxmax()]
    n = int(anew.sum())
    fresh, kernel = worst["page_fault_bytes_per_step"] / 2**20, 100 * worst["system_time_ratio"]
    said = (f"{out_of(anew)} {_of(n, 'takes its', 'take their')} memory anew from the kernel in each step:"
            f" {fresh:,.0f} MiB a step and {kernel:.0f} % of the processor time at batch {worst['batch_size']} in"
            f" {worst['precision']}.")  # fmt: skip
    if not _named(done, anew, "os").startswith("Linux"):
        return [said]
    return [f"{said} Another run may be faster or slower by that. With {KEEP_MEMORY} set before the command, glibc"
            " keeps the memory, in a program of yours too."]  # fmt: skip


def retries_allocations(frame: pd.DataFrame) -> pd.Series:
    """Cells so near to the end of the device's memory that the allocator empties its cache again and again."""
    return (frame["allocation_retries_per_step"] >= MIN_RETRIES).fillna(False).astype(bool)


def _full_device(done: pd.DataFrame) -> list[str]:
    full = retries_allocations(done)
    if not full.any():
        return []
    worst = done.loc[done.loc[full, "allocation_retries_per_step"].idxmax()]
    n = int(full.sum())
    return [f"{out_of(full)} {_of(n, 'is', 'are')} slower for want of memory: PyTorch's allocator gave back"
            f" what it kept and asked the device again, {worst['allocation_retries_per_step']:.1f} times a step at"
            f" batch {worst['batch_size']} in {worst['precision']}. A slightly smaller batch is faster."]  # fmt: skip


def count_machines(frame: pd.DataFrame) -> int:
    """How many machines measured, by the name of the host and of its processor, as far as they are known."""
    return max(int(frame["host"].nunique()), len(frame[["host", "cpu_name"]].dropna().drop_duplicates()))


def _machines(frame: pd.DataFrame) -> list[str]:
    said = []
    n_machines = count_machines(frame)
    if n_machines > 1:
        said.append(f"The cells come from {n_machines} machines.")
    for device, rows in frame.groupby("device", sort=True):
        said += _versions(rows, "driver_version", f"the driver of {device}")
    for column, name in VERSIONS.items():
        said += _versions(frame, column, name)
    return [*said, *_clocks(frame)]


def _versions(frame: pd.DataFrame, column: str, name: str) -> list[str]:
    n = frame[column].nunique()
    if n < 2:
        return []
    versions = ", ".join(sorted(frame[column].dropna().astype(str).unique()))
    return [f"The cells come from {n} versions of {name}: {versions}."]


def _clocks(frame: pd.DataFrame) -> list[str]:
    """Nodes of a cluster whose clocks differ; a sweep on one machine compares none."""
    known = frame["clock_offset_s"].dropna()
    if known.empty or max(0.0, known.max()) - min(0.0, known.min()) < CLOCK_S:
        return []
    apart = max(0.0, known.max()) - min(0.0, known.min())
    return [f"The clocks of the nodes differ by up to {apart:.2g} s, and so do the times of day at which cells began;"
            " durations do not depend on them."]  # fmt: skip
