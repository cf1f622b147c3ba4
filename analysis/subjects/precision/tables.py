"""The tables of the report on precisions, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from analysis.cells.ranking import speed
from analysis.page.agreement import rounding_column
from analysis.page.columns import Column, column_table, count, estimated, in_word, ranged, valued
from analysis.stats.estimate import known
from analysis.subjects.precision.quantities import Overview, Pair
from analysis.text import MISSING, escape, is_missing, joined, shortened, significant

_OF = {"max_abs_diff": "max abs diff", "max_softmax_diff": "max softmax diff", "top1_agreement_ratio": "top-1 (%)"}
_MEMORY = Column("memory over fp32", lambda one: ratio_text(one.memory))
_ENERGY = Column("energy over fp32", lambda one: ratio_text(one.energy))
_PRECISION = Column("precision", lambda one: escape(one.precision))
_BATCH_SIZE = Column("batch size", lambda pair: f"{pair.batch_size:,.0f}")


def ratio_text(value: float | None) -> str:
    """A ratio with two digits."""
    return MISSING if value is None else significant(value)


def _agreement(
    seen: Sequence[Mapping[str, Any]], ours: Callable[[Any], Mapping[str, Any]],
    theirs: Callable[[Any], Mapping[str, Any]], lowest: str = "",
) -> list[Column]:  # fmt: skip
    """Two columns, for a precision and for fp32, for each figure of agreement known for any of ``seen``."""
    columns = []
    for name, title in _OF.items():
        if any(not is_missing(one[name]) for one in seen):
            said = f"{lowest}{title}" if name == "top1_agreement_ratio" else title
            columns.append(Column(said, lambda one, name=name: _shown(name, ours(one)[name])))
            columns.append(Column(f"fp32's {title}", lambda one, name=name: _shown(name, theirs(one)[name])))
    return columns


def _proofs(pairs: Sequence[Pair]) -> list[Column]:
    """How many items were compared, the error over what rounding explains, and the type of the products."""
    rows = [pair.row for pair in pairs]
    told = [count("items compared", "n_compared"), rounding_column(), in_word("computed in", "computed_dtype")]
    needed = ["n_compared", "rms_rel_diff", "computed_dtype"]
    return [
        Column(column.title, lambda pair, column=column: column.show(pair.row))
        for column, name in zip(told, needed, strict=True)
        if any(not is_missing(row.get(name)) for row in rows)
    ]


def _shown(name: str, value: object) -> str:
    """A figure of agreement: shares in per cent, differences with two digits."""
    found = known(value)
    return MISSING if found is None else f"{100 * found:.2f}" if name == "top1_agreement_ratio" else significant(found)


def overview_table(overviews: Sequence[Overview]) -> str:
    """A row for each task, device and precision."""
    seen = [worst for o in overviews for worst in (o.worst, o.base_worst)]
    return column_table(overviews, [
        Column("device", lambda o: escape(joined(o.task, o.place))),
        _PRECISION,
        Column("cells", lambda o: f"{o.n_cells}"),
        estimated("speed over fp32 (geometric mean, 95 % interval)", lambda o: o.speed),
        Column("range", lambda o: f"{ratio_text(o.slowest)} to {ratio_text(o.fastest)}"),
        estimated("best over fp32's best", lambda o: o.best),
        _MEMORY,
        _ENERGY,
        *_agreement(seen, lambda o: o.worst, lambda o: o.base_worst, "lowest "),
    ], n_left=2)  # fmt: skip


def pairs_table(pairs: Sequence[Pair], item: str) -> str:
    """Every pair of which both cells were measured."""
    is_trained = any(_gained(pair) != MISSING for pair in pairs)
    return column_table(pairs, [
        Column("device", lambda p: escape(joined(p.task, p.place, p.kind))),
        _PRECISION,
        _BATCH_SIZE,
        valued(f"fp32 ({item}/s)", lambda p: speed(p.base)),
        valued(f"throughput ({item}/s)", lambda p: speed(p.row)),
        valued("speed over fp32", lambda p: p.speed),
        ranged("95 % interval", lambda p: p.speed),
        _MEMORY,
        _ENERGY,
        *_agreement([pair.row for pair in pairs], lambda p: p.row, lambda p: p.base),
        *_proofs(pairs),
        *([Column("accuracy gained (points)", _gained)] if is_trained else []),
    ], n_left=2)  # fmt: skip


def _gained(pair: Pair) -> str:
    """Best held-out accuracy less that of fp32."""
    ours, theirs = known(pair.row["accuracy_best"]), known(pair.base["accuracy_best"])
    return MISSING if ours is None or theirs is None else f"{100 * (ours - theirs):+.1f}"


def outcomes_table(pairs: Sequence[Pair]) -> str:
    """Cells that worked in one of the two precisions only."""
    return column_table(pairs, [
        Column("device", lambda p: escape(joined(p.task, p.place, p.kind))),
        _BATCH_SIZE,
        _PRECISION,
        Column("status", lambda p: escape(p.row["status"])),
        Column("status of fp32", lambda p: escape(p.base["status"])),
        Column("reason", lambda p: escape(_reason(p))),
    ])  # fmt: skip


def _reason(pair: Pair) -> str:
    """Why the one of the two failed."""
    row, base = pair.row, pair.base
    failed = row if known(row["throughput_items_per_s"]) is None or base["status"] == "complete" else base
    said = [failed[c] for c in ("status_reason", "error_message") if not is_missing(failed[c])]
    return shortened(": ".join(dict.fromkeys(str(s) for s in said)), 240)
