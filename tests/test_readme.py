"""What README shows is what the project does."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.plan.config import SweepConfig
from sweeps.store.operation_columns import OPERATIONS
from sweeps.store.rows import cell_columns, samples_table
from sweeps.store.schema import TABLES, markdown_table
from sweeps.store.store import ResultStore

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COLUMNS, RESULTS, WORKLOAD = (
    (ROOT / "docs" / name).read_text() for name in ("columns.md", "results.md", "add-a-workload.md")
)
QUERIES = [block for block in re.findall(r"```python\n(.*?)```", RESULTS, re.DOTALL) if "results" in block]
BEST = {("cpu", "fp32"): 40.0, ("cpu", "bf16"): 90.0}


def test_the_page_of_columns_is_what_the_schema_prints() -> None:
    shown = COLUMNS.split("<!-- columns: accelsweep schema -->\n")[1].split("\n<!-- end of columns -->")[0]
    made = "\n".join(
        f"**{name}**\n\n{markdown_table(schema)}" for name, schema in {**TABLES, "operations": OPERATIONS}.items()
    )
    assert shown.strip() == made.strip(), "paste what `accelsweep schema` prints"


def test_the_workload_on_its_page_is_the_one_that_is_tested() -> None:
    assert (ROOT / "docs/examples/sort_pixels/sort_pixels.py").read_text().strip() in WORKLOAD


def test_every_linked_file_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep as it lies on the disk while it runs, one file a cell, written by what writes every sweep."""
    config = SweepConfig(
        workload="inference", device=("cpu",), batch_size=(1, 8), precision=("fp32", "bf16"), model=("m",)
    )
    store = ResultStore.create(tmp_path / "results" / "SWEEP_ID", config, config.cells(), ["accelsweep", "inference"])
    for cell in config.cells():
        rate = {("fp32", 1): 20.0, ("fp32", 8): 40.0, ("bf16", 1): 90.0, ("bf16", 8): 300.0}[
            cell.precision, cell.batch_size
        ]
        status = "pruned" if rate == 300.0 else "complete"
        samples = samples_table(cell.key, [("measure", 0, np.full(3, cell.batch_size / rate), None)])
        store.record({**cell_columns(cell), "status": status, "throughput_items_per_s": rate}, samples, [])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))
    return store.folder


def answers(block: str) -> list[Any]:
    """What a block of code prints, before it becomes text."""
    printed: list[Any] = []
    exec(compile(block, "README.md", "exec"), {"print": printed.append})
    return printed


def best_by_precision(answer: Any) -> dict[tuple[str, str], float]:
    """The answer of pandas (a Series), DuckDB (a relation) or Polars (a frame) as one kind of thing."""
    if hasattr(answer, "fetchall"):
        rows = answer.fetchall()
    elif hasattr(answer, "rows"):
        rows = answer.rows()
    else:
        rows = [(*key, value) for key, value in answer.items()]
    return {(device, precision): value for device, precision, value in rows}


@pytest.mark.parametrize("tool", ["pandas", "duckdb", "polars"])
def test_each_tool_gives_the_same_answer_in_three_lines(results: Path, tool: str) -> None:
    asked = [block for block in QUERIES if block.startswith(f"import {tool}") and "complete" in block]
    assert len(asked) == 1
    assert len([line for line in asked[0].splitlines() if line]) == 3
    (answer,) = answers(asked[0])
    assert best_by_precision(answer) == BEST


def test_every_query_in_the_readme_runs_on_a_sweep_s_files_joined_or_not(results: Path) -> None:
    assert len(QUERIES) >= 4
    apart = [len(str(answer)) for block in QUERIES for answer in answers(block)]
    ResultStore.open(results)[0].compact()
    assert len(list((results / "trials").glob("*.parquet"))) == 1
    assert [len(str(answer)) for block in QUERIES for answer in answers(block)] == apart


def test_a_file_cut_short_is_named_where_the_readme_says(results: Path) -> None:
    from analysis import load_sweep

    first = sorted((results / "trials").glob("*.parquet"))[0]
    shutil.copy(first, first.with_name("part-cut.parquet"))
    cut = first.with_name("part-cut.parquet")
    cut.write_bytes(cut.read_bytes()[:100])
    assert load_sweep("results").attrs["unreadable"] == ["part-cut.parquet"]
