"""Samples with a known autocorrelation, and a page on them in every state that samples can be in."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.subjects.distributions.page import main
from analysis.subjects.distributions.samples import Run, Sampled, autocorrelation
from tests.analysis import states
from tests.analysis.conftest import Write, row
from tests.analysis.subjects.filled import samples_of


def of(*runs: np.ndarray) -> Sampled:
    made = [Run(seconds=values, rounds=np.zeros(len(values), np.int64)) for values in runs]
    return Sampled(name="it", is_server=False, runs=made)


def test_the_autocorrelation_is_that_of_a_process_of_first_order() -> None:
    noise, value, values = np.random.default_rng(1).normal(size=20_000), 0.0, []
    for one in noise:
        value = 0.6 * value + one
        values.append(value)
    found = autocorrelation(np.array(values))
    assert found[0] == 1
    assert found[1:4] == pytest.approx([0.6, 0.36, 0.216], abs=0.03)
    assert of(np.array(values)).n_worth == pytest.approx(5_000, rel=0.1), "a quarter"
    assert of(noise).n_worth == pytest.approx(20_000, rel=0.1)
    assert of(np.tile([1.0, 2.0], 50)).n_worth == 100, "neighbours that differ are worth no more than independent ones"
    assert autocorrelation(np.full(9, 0.1)).size == 0


def page_of(write_sweep: Write, tmp_path: Path, rows: list[dict[str, Any]], samples: list[dict[str, Any]]) -> str:
    text = states.page_of(main, [write_sweep(rows, samples=samples)], tmp_path / "page.md")
    states.check_sensible(text)
    return text


def test_the_page_shows_all_runs_of_the_fastest_cell_and_when_they_ran(write_sweep: Write, tmp_path: Path) -> None:
    runs = [[0.1 + 0.02 * i + 0.005 * math.sin(n * math.pi / 100) for n in range(400)] for i in range(2)]
    rows = [row(i, repeat=i + 1, started_at=datetime(2026, 1, 1, 0, 3 - i, tzinfo=UTC), wall_s=40.0) for i in range(2)]
    rows.append(row(2, batch_size=1, started_at=datetime(2026, 1, 1, 0, 1, tzinfo=UTC), wall_s=20.0))
    text = page_of(write_sweep, tmp_path, rows, [s for i, run in enumerate(runs) for s in samples_of(i, run)])
    assert "**cpu, fp32, batch 8**: 800 samples in 2 runs, median 110 ms" in text
    assert "neighbouring samples are correlated (1.0)" in text
    assert "the medians of its runs differ by 20.0 %" in text
    assert "(figures/samples-cpu-fp32-batch-8.png)" in text
    order = [
        line.split("|")[1].strip()
        for line in text.partition("in which the cells ran")[2].splitlines()
        if "2026" in line
    ]
    assert order == ["cpu, fp32, batch 1", "cpu, fp32, batch 8", "cpu, fp32, batch 8"]


@pytest.mark.parametrize(
    ("seconds", "is_drawn"),
    [([], False), ([0.1] * 9, False), ([0.1] * 50, False), ([0.1, 0.2] * 5, True),
     ([0.1, math.nan, math.inf, 0.2] * 9, True), ([0.001] * 300 + [2.5] * 3, True), ([0.0, 0.1] * 8, True)],
)  # fmt: skip
def test_every_kind_of_samples_has_a_page(
    seconds: list[float], is_drawn: bool, write_sweep: Write, tmp_path: Path
) -> None:
    text = page_of(write_sweep, tmp_path, [row()], samples_of(0, seconds))
    assert ("![Samples of" in text) == is_drawn
    if len(seconds) < 10:
        assert "There is nothing to report: 1 cell completed, but without the figures needed here." in text


def test_a_server_has_requests_and_a_parquet_file_no_samples(write_sweep: Write, tmp_path: Path) -> None:
    rows = [row(0, scenario="server", rate_per_s=5.0, completed_rate_per_s=5.0)]
    folder = write_sweep(rows, samples=samples_of(0, [0.1 + 0.01 * (n % 7) for n in range(100)]))
    assert "![Samples of" in states.page_of(main, [folder], tmp_path / "page.md")
    text = states.page_of(main, [folder / "trials" / "part-0.parquet"], tmp_path / "other.md")
    assert "![" not in text
