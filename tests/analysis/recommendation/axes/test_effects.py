"""What each axis buys, on hand-made rows with known effects."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from analysis.recommendation.axes.effects import effects
from analysis.recommendation.axes.tables import effects_table, sentence
from tests.analysis.conftest import Write, row
from tests.analysis.made_up import server
from tests.analysis.recommendation.axes.grids import loaded

PIPELINES = ("resize", "warp", "sobel", "blur")
BATCHES = (1, 8, 64)


def grid(**values: Any) -> list[dict[str, Any]]:
    """bf16 is 2x the speed of fp32 but 0.5x in the warps, channels_last the same speed, a larger batch 4x and 16x."""
    rows = []
    cells = itertools.product(PIPELINES, BATCHES, ("fp32", "bf16"), ("contiguous", "channels_last"))
    for i, (pipeline, batch, precision, memory) in enumerate(cells):
        gain = 1.0 if precision == "fp32" else 0.5 if pipeline == "warp" else 2.0
        speed = 100 * gain * {1: 1, 8: 4, 64: 16}[batch] * (1 + 0.002 * (i % 3))
        rows.append(row(i, workload="image-processing", pipeline=pipeline, batch_size=batch, precision=precision,
                        memory_format=memory, step_median_s=batch / speed, peak_rss_bytes=2**30 * batch, **values))  # fmt: skip
    return rows


def test_each_axis_has_its_ratio_how_often_and_where_it_is_otherwise(write_sweep: Write) -> None:
    precision, memory, eight, most = effects(loaded(write_sweep, grid()))
    assert (precision.contrast.axis, precision.contrast.value, precision.contrast.base) == ("precision", "bf16", "fp32")
    assert (precision.n, precision.count("faster"), precision.count("slower")) == (24, 18, 6)
    assert precision.ratio.value == pytest.approx(2**0.5, rel=0.01), "geometric: three times 2x, once 0.5x"
    assert [(i.column, i.value, i.verdict, i.is_more) for i in precision.interactions] == [
        ("pipeline", "warp", "slower", False)
    ]
    assert "faster in 18, slower in 6 of 24 pairs; hurts warp (0.5" in sentence(precision)
    assert sentence(memory).endswith("no clear difference in any of 24 pairs")
    assert (memory.verdict, memory.count("same"), memory.interactions) == ("same", 24, [])
    assert [(one.contrast.value, round(one.ratio.value or 0)) for one in (eight, most)] == [(8, 4), (64, 16)]
    assert most.memory_ratio == pytest.approx(64)
    text = effects_table([precision, memory, eight, most])
    assert "| precision | bf16 over fp32 | 1.4" in text
    assert "| memory format | channels\\_last over contiguous | 1.00" in text


def test_further_devices_are_an_axis_though_one_has_nothing_to_share(write_sweep: Write) -> None:
    rows = [
        row(i, workload="finetune", scenario=None, n_devices=n, parallel=how, batch_size=batch, step_median_s=batch / rate)
        for i, (n, how, batch, rate) in enumerate(
            [(1, None, 8, 100), (2, "ddp", 8, 190), (2, "fsdp", 8, 150), (1, None, 16, 100), (2, "ddp", 16, 190)]
        )
    ]  # fmt: skip
    found = {(one.contrast.axis, one.contrast.value): one for one in effects(loaded(write_sweep, rows))}
    assert found["n_devices", 2].n == 2
    assert found["n_devices", 2].ratio.value == pytest.approx(1.9)
    assert found["parallel", "fsdp"].ratio.value == pytest.approx(150 / 190)


def test_repeats_widen_the_interval_by_what_all_cells_of_a_run_share(write_sweep: Write) -> None:
    def repeated(slowed: float) -> list[dict[str, Any]]:
        runs = []
        for repeat, factor in enumerate((1.0, slowed, 1 / slowed), start=1):
            for i, one in enumerate(grid()):
                change = factor if one["precision"] == "bf16" else 1.0
                figures = {n: one[n] * change for n in one if n.startswith(("throughput", "step_median"))}
                runs.append(
                    one | figures | {"repeat": repeat, "trial_key": f"{one['trial_key']}r{repeat}", "trial_index": i}
                )
        return runs

    calm, shaken = (effects(loaded(write_sweep, repeated(s)))[0].ratio for s in (1.0, 3.0))
    assert calm.value == pytest.approx(shaken.value, rel=0.01)
    assert shaken.low is not None and calm.low is not None and shaken.low < 0.6 * calm.low  # noqa: PT018


def test_a_server_is_no_pair_nor_are_cells_that_differ_in_two_settings(write_sweep: Write) -> None:
    rows = [
        server(0, 10.0, 0.01),
        server(1, 20.0, 0.02, precision="bf16"),
        row(2),
        row(3, precision="bf16", batch_size=16),
    ]
    assert effects(loaded(write_sweep, rows)) == []
    assert effects_table([]) == ""


def test_energy_is_compared_where_one_counter_covers_both(write_sweep: Write) -> None:
    rows = [row(0, device="cpu", energy_per_item_j=2.0, energy_domain="cpu package"),
            row(1, device="gpu", energy_per_item_j=1.0, energy_domain="gpu board"),
            row(2, device="gpu", energy_per_item_j=0.5, energy_domain="gpu board", precision="bf16")]  # fmt: skip
    found = {one.contrast.axis: one.energy_ratio for one in effects(loaded(write_sweep, rows))}
    assert found == {"device": None, "precision": 0.5}


def test_of_many_sizes_the_fastest_and_the_largest_are_told(write_sweep: Write) -> None:
    sizes = {1: 1.0, 2: 1.9, 4: 3.5, 8: 3.0, 16: 2.5}
    rows = [row(i, batch_size=b, step_median_s=b / s) for i, (b, s) in enumerate(sizes.items())]
    assert [one.contrast.value for one in effects(loaded(write_sweep, rows))] == [4, 16]


def test_without_intervals_a_small_difference_is_none(write_sweep: Write) -> None:
    bare = {"throughput_low_items_per_s": None, "throughput_high_items_per_s": None}
    rows = [
        row(0, **bare),
        row(1, precision="bf16", step_median_s=0.097, **bare),
        row(2, precision="fp16", step_median_s=0.05, **bare),
    ]
    near, far = effects(loaded(write_sweep, rows))
    assert [(one.count("faster"), one.verdict) for one in (near, far)] == [(0, "unclear"), (1, "unclear")]
