"""Which cell to use: the fastest of each device, and the best one for each thing that a user may want."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from analysis.cells.columns import THROUGHPUT
from analysis.cells.groups import Group, groups
from analysis.cells.money import COST
from analysis.cells.naming import present, varying
from analysis.cells.ranking import Ranking, accuracy, intervals_part, plain, rank, speed, step, widened
from analysis.cells.rows import Row, complete, items_of, memory_bytes, records, same
from analysis.cells.usable import best, usable
from analysis.contract.cells import SERVER, SETTINGS, TASK_COLUMNS
from analysis.stats.estimate import Figure, known, ratio

CLOSE_RATIO = 1.02
"""Cells within this ratio of the fastest are named beside it: other reasons may decide between them."""
NEAR_BEST_RATIO = 0.95
"""Throughput from which less memory is worth more than more speed."""
MIN_GROWTH_RATIO = 1.05
"""What the last step to a larger batch size must gain for a still larger one to be worth a try."""
SAME_MEMORY_RATIO = 1.01
"""Peaks that differ by less are as good as one another."""
TORCH, TO_TARGET = "torch", "energy_to_target_j"
WHERE = ("machine", "run", "device")
"""What a best is found for; the first two are of ``identity.with_identity`` and null where there is one."""
MACHINE = ("machine", "run", "host", "cpu_name")
"""What a device and the CPU that it is compared with must share."""


@dataclass(frozen=True, kw_only=True)
class Best:
    """The fastest cell of one task on one device; of the server scenario the highest rate that it keeps up with.

    Its speed is told over the fastest fp32 cell of the device (None if it is fp32 or none was), over the fastest CPU
    cell of the machine (None on the CPU), and over the device's fastest through PyTorch (None if it is). Its rivals
    are statistically indistinguishable from it; close are other cells of the device within ``CLOSE_RATIO``, in the
    order of their speed.
    """

    ranking: Ranking
    over_fp32: Figure | None
    over_cpu: Figure | None
    over_torch: Figure | None
    close: list[Row]

    @property
    def row(self) -> Row:
        return self.ranking.row


class Task(Group):
    """Cells measured to their end that do the same work, so that their speeds can be compared."""

    @property
    def is_server(self) -> bool:
        return bool((self.cells["scenario"] == SERVER).any())

    @property
    def item(self) -> str:
        """What is counted, such as images."""
        return items_of(self.cells)

    @cached_property
    def best_per_device(self) -> list[Best]:
        """For each machine and device the fastest cell, and what it gains; fastest first."""
        cells, found = usable(self.cells), []
        for _, group in cells.groupby(list(WHERE), sort=False, dropna=False):
            ranking = rank(records(group), speed)
            assert ranking is not None, "a usable cell has a throughput"
            row = ranking.row
            fp32 = None if row["precision"] == "fp32" else best(group[group["precision"] == "fp32"])
            here = cells[same(cells, row, MACHINE)]
            cpu = None if row["device"] == "cpu" else best(here[here["device"] == "cpu"])
            near = records(group[group[THROUGHPUT[0]] * CLOSE_RATIO >= row[THROUGHPUT[0]]])
            close = [] if self.is_server else [one for one in near if not ranking.has(one)]
            close.sort(key=lambda one: -float(one[THROUGHPUT[0]]))
            found.append(Best(
                ranking=ranking, over_fp32=_gain(row, fp32), over_cpu=_gain(row, cpu),
                over_torch=over_torch(row, group), close=close,
            ))  # fmt: skip
        return sorted(found, key=lambda b: -float(b.row[THROUGHPUT[0]]))


def tasks(frame: pd.DataFrame) -> list[Task]:
    """The cells measured to their end by what is done; names tell what differs in the frame, ended or not."""
    return [Task(**vars(group)) for group in groups(complete(frame), varying(frame, TASK_COLUMNS))]


def best_per_precision(task: Task) -> list[tuple[Row, Figure | None]]:
    """For each machine, device and precision the fastest cell, and its speed over the device's fastest in fp32."""
    cells, found = usable(task.cells), []
    for _, group in cells.groupby(list(WHERE), sort=False, dropna=False):
        fp32 = best(group[group["precision"] == "fp32"])
        rows = [best(alike) for _, alike in group.groupby("precision", sort=False)]
        found += [(row, None if row["precision"] == "fp32" else _gain(row, fp32)) for row in rows if row]
    return found


def over_torch(row: Row, cells: pd.DataFrame) -> Figure | None:
    """A cell's speed over the fastest of some cells that PyTorch runs; None if it is run by that too, or none is."""
    return None if row.get("runtime") in (None, TORCH) else _gain(row, best(cells[cells["runtime"] == TORCH]))


def best_per_runtime(task: Task) -> list[tuple[Row, Figure | None]]:
    """For each machine, device, runtime and precision the fastest cell, and its speed over the device's by PyTorch."""
    cells, found = usable(task.cells), []
    for _, group in cells.groupby(list(WHERE), sort=False, dropna=False):
        if group["runtime"].nunique() > 1:
            rows = [best(alike) for _, alike in group.groupby(["runtime", "precision"], sort=False)]
            found += [(row, over_torch(row, group)) for row in rows if row]
    return found


def _gain(row: Row, other: Row | None) -> Figure | None:
    """None for servers, unless both rates were searched for: the rates measured say what was asked."""
    if other is None or (row.get("scenario") == SERVER and any(known(r.get("max_rate_per_s")) is None
                                                               for r in (row, other))):  # fmt: skip
        return None
    return widened(ratio(speed(row), speed(other)), row, other)


def most_frugal(task: Task, beside: Row) -> Ranking | None:
    """The cell with the most items per joule, and its rivals; of different counters, those of that of ``beside``.

    None where of several cells the energy of one alone is known, which is then the most of nothing.
    """
    cells = _with_energy(task.cells, beside)
    is_alone = len(cells) == 1 < len(task.cells)
    return None if is_alone else rank(records(cells), plain("items_per_j"))


def _with_energy(cells: pd.DataFrame, beside: Row, column: str = "items_per_j") -> pd.DataFrame:
    cells = cells[cells[column].notna()]
    several = cells["energy_domain"].nunique(dropna=False) > 1
    return cells[same(cells, beside, ("energy_domain",))] if several else cells


def frugal_words(task: Task, beside: Row) -> str:
    """``most images per joule``, and of how many cells that is said where the energy of the others is not known."""
    n, what = len(_with_energy(task.cells, beside)), f"most {task.item} per joule"
    return what if n == len(task.cells) else f"{what} of the {n:,} cells with an energy measurement"


@dataclass(frozen=True, kw_only=True)
class Want:
    """A reason to choose a cell: a short word, what it stands for, and how many others serve it as well."""

    word: str
    told: str
    n_rivals: int

    @property
    def text(self) -> str:
        """``speed``, or ``speed ≈2`` of a cell from which two others are statistically indistinguishable."""
        return f"{self.word} ≈{self.n_rivals:,}" if self.n_rivals else self.word


def choices(task: Task) -> list[Row]:
    """The best cell for each thing wanted of a task; each once, with all that it is best for as ``wants``."""
    cells = usable(task.cells)
    fastest = best(cells)
    if fastest is None:
        return []
    near = cells[cells[THROUGHPUT[0]] >= NEAR_BEST_RATIO * fastest[THROUGHPUT[0]]]
    has_latency = task.cells["accuracy_best"].isna().all() and not cells["scenario"].isin([SERVER, "offline"]).all()
    rows = records(cells)
    told = {"rate": "highest sustained rate"} if task.is_server else {"speed": "highest throughput"}
    wants = [
        (*next(iter(told.items())), rank(rows, speed)),
        ("latency", "shortest step", rank(rows, step, is_lower_better=True) if has_latency else None),
        ("memory", "least memory within 5 % of the highest throughput",
            None if task.is_server else counted_alike(_least_memory(near))),
        ("energy", frugal_words(task, fastest), most_frugal(task, fastest)),
        ("cost", f"least cost per million {task.item}", rank(rows, plain(COST), is_lower_better=True)),
        ("accuracy", "best accuracy", most_accurate(rows)),
        ("time to target", "soonest at the target accuracy", soonest(rows)),
        ("energy to target", "least energy to the target accuracy",
            _first_to_target(records(_with_energy(cells, fastest, TO_TARGET)), TO_TARGET)),
    ]  # fmt: skip
    found: dict[tuple[object, object], Row] = {}
    for word, want, ranking in wants:
        if ranking is not None:
            row = ranking.row
            entry = found.setdefault((row.get("sweep"), row["trial_key"]), row | {"wants": []})
            entry["wants"].append(Want(word=word, told=want, n_rivals=len(ranking.rivals)))
    return list(found.values())


def most_accurate(rows: Sequence[Row]) -> Ranking | None:
    """The most accurate of the trainings that learned, and those whose interval overlaps its own."""
    return rank([row for row in rows if row["status"] == "complete"], accuracy, judge=intervals_part)


def soonest(rows: Sequence[Row], also: str = "") -> Ranking | None:
    """The first at its target by its seconds of training, those of another column added where one is named."""
    able = [row for row in rows if not also or known(row.get(also)) is not None]
    return _first_to_target(able, "time_to_target_s", lambda row: float(row[also]) if also else 0.0)


def _first_to_target(rows: Sequence[Row], column: str, more: Callable[[Row], float] = lambda _: 0.0) -> Ranking | None:
    """The row that takes the least of a cost until the target, with what ``more`` gives: each a round less or more.

    The accuracy is seen once a round: the target was reached at any time since the round before, and another run, of
    other random numbers, may see it a round later.
    """

    def taken(row: Row) -> Figure:
        cost = known(row.get(column))
        n_rounds, seconds, measured_s = (known(row.get(c)) for c in ("n_rounds", "time_to_target_s", "measured_s"))
        if cost is None or not n_rounds or not seconds or not measured_s:
            return Figure(value=None if cost is None else cost + more(row))
        a_round, added = cost * measured_s / (n_rounds * seconds), more(row)
        return Figure(value=cost + added, low=max(cost - a_round, 0.1 * cost) + added, high=cost + a_round + added)

    return rank(rows, taken, is_lower_better=True)


def counted_alike(row: Row | None) -> Ranking | None:
    """What is counted in bytes, the same in every run, has no rivals."""
    return None if row is None else Ranking(row=row, rivals=[], n_others=0, is_one_run=False)


def _least_memory(cells: pd.DataFrame) -> Row | None:
    """The fastest of the cells that take the least memory, which many do to the last digit that is shown."""
    taken = memory_bytes(cells)
    return best(cells[taken <= taken.min() * SAME_MEMORY_RATIO])


def may_grow(cells: pd.DataFrame, best: Row) -> float | None:
    """What the step to the largest batch size gained, if the fastest cell has it and the next might be faster still.

    The ratio to the next smaller batch size of the same line; None where doubling gained under 5 %, where a larger
    batch was measured or ran out of memory (the cells are all of the sweep's), or where there is no smaller one.
    """
    options = [str(c) for c in cells if str(c).startswith("option ")]
    settings = [name for name in SETTINGS if name != "batch_size"]
    names = present(cells, (*TASK_COLUMNS, *WHERE, *settings, "node", *options))
    line = cells[same(cells, best, names) & cells["batch_size"].notna()]
    if (line["batch_size"] > best["batch_size"]).any() or best.get("scenario") == SERVER:
        return None
    smaller = line[(line["batch_size"] < best["batch_size"]) & line[THROUGHPUT[0]].notna()]
    if smaller.empty:
        return None
    gain = float(best[THROUGHPUT[0]]) / float(smaller.loc[smaller["batch_size"].idxmax(), THROUGHPUT[0]])
    return gain if gain > MIN_GROWTH_RATIO else None
