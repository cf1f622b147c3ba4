from __future__ import annotations

import json

import pytest

from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.plan.measuring import MeasureConfig
from sweeps.store.rows import cell_columns
from workloads.base import BadInputError


def small_sweep(**changes: object) -> SweepConfig:
    values: dict[str, object] = {
        "workload": "inference", "device": ("cpu",), "batch_size": (8, 1), "precision": ("fp32", "bf16"),
        "model": ("efficientnet_lite0",), "option_axes": {"scenario": ("single-stream",)}, "option_constants": {"k": 1},
    }  # fmt: skip
    return SweepConfig(**{**values, **changes})  # type: ignore[arg-type]


def test_the_grid_is_the_product_of_the_axes_with_small_batches_first() -> None:
    cells = small_sweep().cells()
    assert [(c.precision, c.batch_size) for c in cells] == [("fp32", 1), ("fp32", 8), ("bf16", 1), ("bf16", 8)]
    assert all(c.options == {"k": 1, "scenario": "single-stream"} for c in cells)
    assert len({c.key for c in cells}) == 4


def test_a_key_survives_json_and_changes_with_every_part_of_the_cell() -> None:
    cell = small_sweep().cells()[0]
    assert TrialConfig.from_dict(json.loads(json.dumps(cell.as_dict()))).key == cell.key
    others = [
        TrialConfig.from_dict({**cell.as_dict(), name: value})
        for name, value in {"batch_size": 2, "device": "x", "precision": "fp16", "seed": 1, "options": {"k": 2}}.items()
    ]
    assert len({cell.key, *(o.key for o in others)}) == 6


def test_threads_make_several_cells_of_the_cpu_and_one_of_an_accelerator() -> None:
    config = small_sweep(device=("gpu", "cpu"), batch_size=(8,), precision=("fp32",), threads=(1, 2))
    cells = config.cells()
    assert [(c.device, c.threads) for c in cells] == [("gpu", None), ("cpu", 1), ("cpu", 2)]
    assert [c.label for c in cells[1:]] == [
        "cpu fp32 batch 8 efficientnet_lite0 1 thread single-stream",
        "cpu fp32 batch 8 efficientnet_lite0 2 threads single-stream",
    ]
    assert len({c.key for c in cells}) == 3
    again = SweepConfig.from_dict(json.loads(json.dumps(config.as_dict())))
    assert again.cells() == cells


def test_allocators_make_several_cells_of_the_cpu_and_one_of_an_accelerator() -> None:
    config = small_sweep(device=("gpu", "cpu"), batch_size=(8,), precision=("fp32",), threads=(1, 2),
                         allocator=(None, "kept"))  # fmt: skip
    cells = config.cells()
    assert [(c.device, c.allocator, c.threads) for c in cells] == [
        ("gpu", None, None), ("cpu", None, 1), ("cpu", None, 2), ("cpu", "kept", 1), ("cpu", "kept", 2),
    ]  # fmt: skip
    assert cells[-1].label == "cpu fp32 batch 8 efficientnet_lite0 2 threads allocator kept single-stream"
    assert TrialConfig.from_row(cell_columns(cells[-1])) == cells[-1]
    assert len({c.key for c in cells}) == 5


def test_a_cell_without_threads_of_its_own_keeps_the_key_it_had_before_there_was_such_an_axis() -> None:
    cell = TrialConfig(
        workload="inference", device="cpu", batch_size=1, model="resnet18", options={"scenario": "offline"}
    )
    assert not {"threads", "allocator"} & set(cell.as_dict())
    assert cell.key == "f683d9c140f1fe50"


def test_what_is_autotuned_has_time_of_its_own_for_it() -> None:
    config = small_sweep(compile=("default", "max-autotune"), measure=MeasureConfig(autotune_timeout_s=90.0))
    assert {c.compile: config.timeout_of(c) for c in config.cells()} == {"default": 600.0, "max-autotune": 690.0}


def test_a_sweep_survives_json() -> None:
    config = small_sweep(measure=MeasureConfig(min_rounds=3), budget_s=9.0)
    again = SweepConfig.from_dict(json.loads(json.dumps(config.as_dict())))
    assert [c.key for c in again.cells()] == [c.key for c in config.cells()]
    assert again.measure == config.measure
    assert again.budget_s == 9.0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"batch_size": (0,)}, "--batch-size: 0"),
        ({"precision": ("fp4",)}, "'fp4' is not one of fp32"),
        ({"memory_format": ("nhwc",)}, "'nhwc'"),
        ({"compile": ("max",)}, "'max'"),
        ({"device": ()}, "--device: needs"),
        ({"batch_size": (1, 1)}, "twice"),
        ({"trial_timeout_s": 0.0}, "--trial-timeout: 0.0"),
        ({"budget_s": -1.0}, "--budget: -1.0"),
        ({"threads": (0,)}, "--threads: 0"),
        ({"threads": (5000,)}, "--threads: 5000 must lie between 1 and 4096"),
        ({"threads": (2, 2)}, "twice"),
        ({"threads": ()}, "--threads: needs"),
        ({"allocator": ("mimalloc",)}, "--allocator: 'mimalloc' is not one of default, kept, jemalloc, tcmalloc"),
    ],
)
def test_bad_values_name_the_option_and_the_value(changes: dict[str, object], told: str) -> None:
    with pytest.raises(BadInputError, match="--") as caught:
        small_sweep(**changes).cells()
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "changes", [{"min_rounds": 0}, {"min_s": 5.0, "max_s": 1.0}, {"precision_target": 0.0}, {"rounds": "x"}]
)
def test_bad_measurement_settings_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BadInputError):
        MeasureConfig(**changes)  # type: ignore[arg-type]
