"""A cell's row on its way into its table: what fits is kept, what does not is named."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from analysis.contract.cells import MEASURED, OPTION_COLUMNS, Row
from sweeps.plan.cell_options import CODE
from sweeps.plan.config import CELL_COLUMNS, TrialConfig
from sweeps.plan.grid import OF_SEVERAL
from sweeps.store.schema import ROUNDS, SAMPLES, TRIALS
from sweeps.text import encodable, one_line
from workloads.runtime.words import shortened

SampleBlock = tuple[str, int, np.ndarray, np.ndarray | None]
"""(phase, round, seconds, scheduled seconds or None) of a block of samples."""


def rows_table(rows: Iterable[Row], schema: pa.Schema = TRIALS) -> pa.Table:
    """Rows as a table; what a row lacks is null, and a ValueError names what lacks a column or does not fit it."""
    fitted_rows = [fit(row, schema) for row in rows]
    if misfits := [told for _, misfits in fitted_rows for told in misfits]:
        raise ValueError("; ".join(misfits))
    return pa.Table.from_pylist([fitting for fitting, _ in fitted_rows], schema=schema)


def fit(row: Row, schema: pa.Schema) -> tuple[dict[str, Any], list[str]]:
    """What of a row its table can hold, and a sentence for each value that it cannot; NaN is null.

    A workload of others may say anything of itself; what it says wrong must not cost the rest of the row. Text that
    UTF-8 cannot hold, such as a file's name of other bytes, is kept with those bytes as escapes.
    """
    fitting: dict[str, Any] = {}
    misfits = []
    kinds = dict(zip(schema.names, schema.types, strict=True))
    for name, value in row.items():
        if name not in kinds:
            misfits.append(f"there is no column {name!r}")
            continue
        if value is None:
            fitting[name] = None
            continue
        kind = kinds[name]
        try:
            fitting[name] = pa.scalar(_plain(value, kind), kind).as_py()
            if fitting[name] != fitting[name]:  # NaN, which databases take for the largest number of all
                fitting[name] = None
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            misfits.append(f"column {name!r} holds {kind}, not {one_line(repr(value))}")
    return fitting, misfits


def _plain(value: Any, kind: pa.DataType) -> Any:
    """A value without what Arrow would take silently: half a whole number, bytes that are no text."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, bytes) or (pa.types.is_integer(kind) and isinstance(value, float) and value != int(value)):
        raise ValueError(value)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_whole and pa.types.is_floating(kind) else value


def round_columns(reached: Row) -> dict[str, Any]:
    """What a workload says of a round, as far as the rounds table has columns for it; pruners compute with it.

    What is not finite is null, and so is the accuracy beside such a loss: the best class of NaN is class 0. For a value
    that its column cannot hold ValueError is raised.
    """
    columns, misfits = fit({name: value for name, value in reached.items() if name in ROUNDS.names}, ROUNDS)
    if misfits:
        raise ValueError(f"end_round: {'; '.join(misfits)}")
    wrong = {name for name, value in columns.items() if isinstance(value, float) and not math.isfinite(value)}
    if is_diverged(reached):
        wrong |= {"accuracy", "balanced_accuracy", "n_classes_answered"} & set(columns)
    return {name: None if name in wrong else value for name, value in columns.items()}


def is_diverged(reached: Row) -> bool:
    """Whether a round ended with a loss that is not finite."""
    loss = reached.get("loss")
    return loss is not None and not math.isfinite(loss)


def fitted(row: dict[str, Any]) -> dict[str, Any]:
    """The row as its table can hold it; what it cannot makes an error of a cell that seemed to have ended well."""
    fitting, misfits = fit(row, TRIALS)
    if misfits and fitting["status"] in MEASURED:
        told = shortened("; ".join(misfits), 2000)
        fitting.update(status="error", status_reason="wrong columns", error_type="ValueError", error_message=told)
    return fitting


def cell_columns(cell: TrialConfig) -> dict[str, Any]:
    """The columns of the trials table that say what the cell is."""
    return {
        **{column: cell.options.get(name) for name, column in OPTION_COLUMNS.items()},
        **({OPTION_COLUMNS[name]: None for name in OF_SEVERAL} if cell.n_devices == 1 else {}),
        **{name: getattr(cell, name) for name in CELL_COLUMNS},
        "trial_key": cell.key,
        "code_hash": cell.options.get(CODE),
        "options": json.dumps(cell.told_options, sort_keys=True, default=str),
    }


def samples_table(key: str, blocks: Sequence[SampleBlock]) -> pa.Table | None:
    """Blocks of samples as a table of the samples schema; None without samples."""
    blocks = [block for block in blocks if len(block[2])]
    if not blocks:
        return None
    phases, rounds, seconds, scheduled = zip(*blocks, strict=True)
    sizes = [len(block) for block in seconds]
    times = [
        np.full(n, np.nan) if block is None else np.asarray(block, float)
        for n, block in zip(sizes, scheduled, strict=True)
    ]
    columns = {
        "trial_key": pa.repeat(key, sum(sizes)),
        "phase": np.repeat(phases, sizes),
        "round": np.repeat(np.array(rounds, np.int32), sizes),
        "index": np.concatenate([np.arange(n, dtype=np.int32) for n in sizes]),
        "seconds": np.concatenate([np.asarray(block, dtype=float) for block in seconds]),
        "scheduled_s": pa.array(np.concatenate(times), from_pandas=True),
    }
    return pa.table(columns, schema=SAMPLES)
