"""Any configuration survives JSON with its keys, and any row survives Arrow, or says which column does not hold it."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.contract.allocators import ALLOCATORS, DEFAULT
from analysis.contract.limits import Limits
from sweeps.cell.message import Message
from sweeps.choosing.chooser import Chooser
from sweeps.plan.config import LARGEST_BATCH, LARGEST_SEED, SweepConfig, TrialConfig
from sweeps.plan.measuring import MeasureConfig
from sweeps.plan.search import PruningConfig, Range, SearchConfig
from sweeps.scheduling.ledger import Ledger
from sweeps.store.rows import cell_columns, fit, rows_table
from sweeps.store.schema import TRIALS
from sweeps.store.store import ResultStore
from workloads.base import COMPILE_MODES, MEMORY_FORMATS
from workloads.precision import PRECISIONS

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
OPTION = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), ANY_TEXT)
SECONDS = st.floats(1e-3, 1e6)


def some(values: st.SearchStrategy[Any], max_size: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, min_size=1, max_size=max_size, unique=True).map(tuple)


MEASURES = st.builds(
    MeasureConfig, min_rounds=st.integers(1, 10**6), min_s=st.floats(1e-3, 1.0), max_s=SECONDS.map(lambda s: s + 1),
    precision_target=st.floats(1e-6, 0.999), cooldown_s=st.floats(0, 1e6), leak_check=st.booleans(),
    record_hostname=st.booleans(),
)  # fmt: skip
RANGES = st.tuples(st.integers(1, 100), st.integers(101, 10**6), st.sampled_from(["linear", "log", "log2"])).map(
    lambda ends: Range(low=ends[0], high=ends[1], scale=ends[2])
)
SWEEPS = st.builds(
    SweepConfig, workload=ANY_TEXT, device=some(ANY_TEXT), batch_size=some(st.integers(1, LARGEST_BATCH)),
    precision=some(st.sampled_from(list(PRECISIONS))), model=some(ANY_TEXT), memory_format=some(st.sampled_from(MEMORY_FORMATS)),
    compile=some(st.sampled_from(COMPILE_MODES)),
    threads=some(st.none() | st.integers(1, 64)), allocator=some(st.none() | st.sampled_from(sorted({*ALLOCATORS} - {DEFAULT}))), node_kinds=st.dictionaries(ANY_TEXT, some(ANY_TEXT), max_size=2),
    on_node=st.lists(ANY_TEXT, max_size=2).map(tuple), accelerator_type=st.lists(ANY_TEXT, max_size=2).map(tuple),
    option_axes=st.dictionaries(ANY_TEXT, some(OPTION.filter(lambda v: not isinstance(v, bool)), 2), max_size=2),
    option_constants=st.dictionaries(ANY_TEXT, OPTION, max_size=3), seed=st.integers(0, LARGEST_SEED), measure=MEASURES,
    trial_timeout_s=SECONDS, budget_s=st.one_of(st.none(), SECONDS), isolate=st.booleans(),
    pruning=st.sampled_from([PruningConfig(), PruningConfig(pruner="median", parameters={"n_startup_trials": 1})]),
    search=st.one_of(st.none(), st.builds(
        SearchConfig, sampler=st.sampled_from(["tpe", "random"]), n_trials=st.integers(1, 10**6),
        objectives=some(st.sampled_from(["throughput", "latency", "memory"])),
        ranges=st.dictionaries(ANY_TEXT, RANGES, max_size=2))),
    limits=st.builds(Limits, max_latency_ms=st.one_of(st.none(), SECONDS), min_accuracy=st.one_of(st.none(), st.floats(0, 1))),
)  # fmt: skip


@QUICK
@given(config=SWEEPS)
def test_any_sweep_survives_json_with_the_keys_of_its_cells(config: SweepConfig) -> None:
    again = SweepConfig.from_dict(json.loads(json.dumps(config.as_dict(), default=str)))
    assert again == config
    cells = config.cells()[:20]
    assert [cell.key for cell in again.cells()[:20]] == [cell.key for cell in cells]
    for cell in cells:
        kept = json.loads(json.dumps({"key": cell.key, **cell.as_dict()}, default=str))
        assert TrialConfig.from_dict(kept) == cell
        assert TrialConfig.from_dict(kept).key == cell.key == kept["key"]


def test_keys_are_those_that_earlier_results_hold() -> None:
    cell = TrialConfig(
        workload="finetune",
        device="cpu",
        batch_size=32,
        model="resnet18",
        options={"tune": "full", "learning_rate": 2e-3},
    )
    assert cell.key == "653fcf5952402587"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_no_measurement_is_asked_for_without_end(bad: float) -> None:
    for name in ("min_s", "max_s", "precision_target", "cooldown_s"):
        with pytest.raises(Exception, match="--") as caught:
            MeasureConfig(**{name: bad})
        assert type(caught.value).__name__ == "BadInputError"


VALUES: dict[Any, st.SearchStrategy[Any]] = {
    pa.string(): ANY_TEXT,
    pa.float64(): st.one_of(st.floats(), st.integers(-(2**200), 2**200)),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.int16(): st.integers(-(2**15), 2**15 - 1),
    pa.bool_(): st.booleans(),
    pa.timestamp("us", tz="UTC"): st.datetimes(timezones=st.just(UTC)),
}
ROWS = st.fixed_dictionaries({}, optional={f.name: st.one_of(st.none(), VALUES[f.type]) for f in TRIALS})
HOSTILE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.floats(width=32).map(np.float32), st.binary(max_size=5),
    ANY_TEXT, st.lists(st.integers(), max_size=2), st.complex_numbers(), st.just(2**70), st.just(10**400), st.just(object()),
)  # fmt: skip


def is_same(kept: Any, value: Any) -> bool:
    if isinstance(value, str):
        return bool(kept == value.encode("utf-8", "backslashreplace").decode())
    if isinstance(kept, float):
        return kept == float(value) or (math.isnan(kept) and math.isnan(value))
    return bool(kept == value)


@settings(QUICK, max_examples=50)
@given(row=ROWS)
def test_any_row_of_the_right_types_survives_parquet(row: dict[str, Any], tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "row.parquet"
    pq.write_table(rows_table([row]), path)
    (kept,) = pq.read_table(path).to_pylist()
    # NaN is kept as null.
    assert all(is_same(kept[name], None if value != value else value) for name, value in row.items())
    assert all(kept[name] is None for name in TRIALS.names if name not in row)


@QUICK
@given(row=st.dictionaries(st.sampled_from([*TRIALS.names, "surprise"]), HOSTILE, min_size=1, max_size=8))
def test_what_a_column_cannot_hold_is_named_and_costs_nothing_else(row: dict[str, Any]) -> None:
    fitting, misfits = fit(row, TRIALS)
    assert len(fitting) + len(misfits) == len(row)
    for name in set(row) - set(fitting):
        assert any(repr(name) in misfit for misfit in misfits)
    pa.Table.from_pylist([fitting], schema=TRIALS)
    if misfits:
        with pytest.raises(ValueError, match="column"):
            rows_table([row])


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [("n_samples", 2**70, "int64, not 1180591620717411303424"), ("n_rounds", 2.5, "int64, not 2.5"), ("model", b"x", "string"),
     ("n_cpus", math.nan, "int64, not nan"), ("surprise", 1, "no column 'surprise'"), ("accuracy_best", "high", "double")],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_told_with_its_column(column: str, value: Any, told: str) -> None:
    with pytest.raises(ValueError, match="column") as caught:
        rows_table([{"status": "complete", column: value}])
    assert told in str(caught.value)
    assert column in str(caught.value)


class Nobody:
    def cell_started(self, cell: TrialConfig) -> None: ...
    def cell_progressed(self, cell: TrialConfig, row: Any) -> None: ...
    def cell_ended(self, cell: TrialConfig, row: Any) -> None: ...


def test_a_workload_that_says_nonsense_of_itself_keeps_its_figures_and_ends_as_an_error(tmp_path: Path) -> None:
    config = SweepConfig(workload="w", device=("cpu",), batch_size=(1,), precision=("fp32",), model=("\udcff",))
    store = ResultStore.create(tmp_path / "s", config, config.cells(), [])
    ledger = Ledger(config, config.cells(), store, Chooser(config.cells()), Nobody())
    cell = ledger.hand_out("t")
    assert isinstance(cell, TrialConfig)
    row = {**cell_columns(cell), "status": "complete", "throughput_items_per_s": 5.0, "top1_agreement_ratio": "all of them",
           "n_samples": 2**80, "surprise": object(), "started_at": datetime.now(UTC)}  # fmt: skip
    rounds = [{"round": 0, "seconds": 1.0, "accuracy": 10**400}]
    ledger.receive("t", Message(trial_key=cell.key, row=row, rounds=rounds, is_final=True))
    (kept,) = store.rows()
    assert kept["status"] == "error"
    assert kept["throughput_items_per_s"] == 5.0
    assert kept["model"] == r"\udcff"
    for column in ("top1_agreement_ratio", "n_samples", "surprise"):
        assert column in kept["error_message"]
