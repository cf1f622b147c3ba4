"""Hand-made rows as real Parquet, in the schema that sweeps write."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from analysis.figures import style
from sweeps.store.schema import ROUNDS, SAMPLES, SCHEMA_VERSION, TRIALS

Write = Callable[..., Path]


def row(index: int = 0, **values: Any) -> dict[str, Any]:
    """A complete cell of 100 ms steps; ``values`` change it."""
    batch, step = values.get("batch_size", 8), values.get("step_median_s", 0.1)
    plain = {
        "schema_version": SCHEMA_VERSION, "sweep_id": "s", "trial_key": f"k{index:03d}", "trial_index": index,
        "status": "complete", "workload": "inference", "device": "cpu", "model": "m", "batch_size": batch,
        "precision": "fp32", "memory_format": "contiguous", "compile": "none", "scenario": "single-stream",
        "item": "images", "items_per_step": batch, "n_samples": 100, "n_rounds": 5, "step_median_s": step,
        "step_median_low_s": step * 0.99, "step_median_high_s": step * 1.01, "step_iqr_ratio": 0.02,
        "throughput_items_per_s": batch / step, "throughput_low_items_per_s": batch / step / 1.01,
        "throughput_high_items_per_s": batch / step / 0.99, "stability": "stable", "timing_verified": True,
        "weights": "imagenet", "input_is_synthetic": False, "peak_rss_bytes": 2**30, "host": "h1",
        "torch_version": "2.15", "other_load_ratio": 0.0, "options": "{}",
    }  # fmt: skip
    return {**plain, **values}


TICK_GAP = 4
"""Pixels of 1/160 inch, half a digit, under which two labels read as one."""


def check_legible(drawn: Figure) -> None:
    """No text of a finished figure is cut off, is a formula's source, or lies over the next tick's."""
    room = drawn.bbox.padded(2)

    def check_inside(box: Bbox, told: object) -> None:
        assert room.contains(box.x0, box.y0), f"cut off: {told}, {box} in {room}"
        assert room.contains(box.x1, box.y1), f"cut off: {told}, {box} in {room}"

    of_ticks = {id(label) for axes in drawn.axes for axis in (axes.xaxis, axes.yaxis)
                for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()) for label in (tick.label1, tick.label2)}  # fmt: skip
    hidden = {id(text) for axes in drawn.axes if not axes.get_visible() for text in axes.findobj(Text)}
    for text in drawn.findobj(Text):
        assert "\\math" not in text.get_text(), text
        if text.get_visible() and text.get_text().strip() and id(text) not in of_ticks | hidden:
            check_inside(text.get_window_extent(), text)
    for axes in drawn.axes:
        for axis in (axes.xaxis, axes.yaxis) if axes.get_visible() else ():
            low, high = sorted(axis.get_view_interval())
            ticks = [t for t in axis.get_major_ticks() if t.label1.get_visible() and low <= t.get_loc() <= high]
            boxes = [tick.label1.get_window_extent() for tick in ticks if tick.label1.get_text()]
            for box in boxes:
                check_inside(box, f"a tick of {axes.get_title('left')!r}")
            for one, other in itertools.pairwise(boxes):
                assert not one.padded(TICK_GAP).overlaps(other), f"ticks of {axes.get_title('left')!r} run together"


def look_at_figures(monkeypatch: pytest.MonkeyPatch, look: Callable[[Figure], None]) -> None:
    """Have a function look at each figure that is saved from now on, once its layout is final."""
    save = Figure.savefig

    def saved(self: Figure, *arguments: Any, **options: Any) -> None:
        # Compressing a figure well takes as long as laying it out.
        quick = {"pil_kwargs": {"compress_level": 1}} if str(arguments[0]).endswith(".png") else {}
        save(self, *arguments, **{**quick, **options})
        if options.get("format") != "svg":  # whose 72 dpi leave texts where they are no more; it has the same layout
            look(self)

    monkeypatch.setattr(Figure, "savefig", saved)


@pytest.fixture
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what a page says: its figures are made, and neither laid out nor saved, which takes most of the time.

    Of a module that asks for it, tests marked ``drawn`` are left out.
    """
    if request.node.get_closest_marker("drawn") is None:
        monkeypatch.setattr(style, "_finish", lambda _, path: path.write_bytes(bytes(10_000)))


@pytest.fixture(autouse=True)
def every_figure_is_legible(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks each figure that any test of the analysis has drawn, but of names made to fill one."""
    if request.node.get_closest_marker("endless_names") is None:
        look_at_figures(monkeypatch, check_legible)


@pytest.fixture
def write_sweep(tmp_path: Path) -> Write:
    """``write_sweep(rows, name="s", samples=[...], rounds=[...], n_cells=None)`` makes a sweep's folder."""
    return writer(tmp_path)


def writer(parent: Path) -> Write:
    """What makes folders of sweeps in another."""

    def write(
        rows: Sequence[Mapping[str, Any]], name: str = "s", samples: Sequence[Mapping[str, Any]] = (),
        rounds: Sequence[Mapping[str, Any]] = (), n_cells: int | None = None, created_at: str = "2026-01-01T00:00:00",
    ) -> Path:  # fmt: skip
        folder = parent / name
        tables = (("trials", TRIALS, rows), ("samples", SAMPLES, samples), ("rounds", ROUNDS, rounds))
        for table, schema, content in tables:
            (folder / table).mkdir(parents=True, exist_ok=True)
            if content:
                path = folder / table / "part-0.parquet"
                made = pa.Table.from_pylist([dict(r) for r in content], schema=schema)
                pq.write_table(made, path, use_dictionary=False, compression="none", write_statistics=False)
        description = {
            "schema_version": SCHEMA_VERSION, "sweep_id": name, "created_at": created_at,
            "n_cells": len(rows) if n_cells is None else n_cells, "command": ["accelsweep", "inference"],
            "config": {"workload": "inference"},
        }  # fmt: skip
        (folder / "sweep.json").write_text(json.dumps(description))
        return folder

    return write
