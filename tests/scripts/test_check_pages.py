"""What scripts/check_pages reads: every page of this repository is right, and each kind of mistake is one line."""

from __future__ import annotations

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
LINE = "| takes [0.20] J | `one` | `precision == 'bf16'` | `energy_per_item_j` |"


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    loader = SourceFileLoader("check_pages", str(ROOT / "scripts" / "check_pages"))
    spec = importlib.util.spec_from_loader("check_pages", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A page beside a sweep of two cells, and its table."""
    folder = tmp_path / "docs" / "reports" / "gpu"
    (folder / "sweeps" / "one").mkdir(parents=True)
    cells = {
        "model": ["m"] * 2, "precision": ["fp32", "bf16"], "energy_per_item_j": [0.4, 0.2],
        "throughput_items_per_s": [1000.0, 2504.0],
    }  # fmt: skip
    pd.DataFrame(cells).to_parquet(folder / "sweeps" / "one" / "trials.parquet")
    (folder / "limits.md").write_text("| what | ms |\n| --- | ---: |\n| plain loop | 8.116 |\n")
    return tmp_path / "docs"


def write(docs: Path, page: str, *lines: str) -> None:
    folder = docs / "reports" / "gpu"
    (folder / "README.md").write_text(page)
    head = "## [A GPU](README.md)\n\n| words | source | rows | value |\n| --- | --- | --- | --- |\n"
    (folder / "figures.md").write_text(head + "\n".join(lines) + "\n")


def test_every_figure_of_our_pages_is_what_its_data_gives(pages: ModuleType) -> None:
    counts, wrong = pages.check(ROOT / "docs")
    assert not wrong, "\n".join(wrong)
    assert {ROOT / "docs/reports" / name / "README.md" for name in ("h100", "h200", "op-coverage-cuda")} <= set(counts)
    assert sum(counts.values()) > 300


@pytest.mark.parametrize(
    ("page", "line"),
    [
        ("It takes 0.20 J.", LINE),
        ("It takes\n`0.20` **J**.", LINE),
        ("From 1,000 to 2,500 images/s.", "| [1,000] to [2,500] images/s | `one` | | `throughput_items_per_s` |"),
        (
            "It is 2.50 times as fast.",
            "| [2.50] times | `one` | | `ratio('throughput_items_per_s', \"precision == 'bf16'\", \"precision == 'fp32'\")` |",
        ),
        ("| fp32 | 1,000 |\n", "| fp32 [1,000] | `one` | `precision == 'fp32'` | `throughput_items_per_s` |"),
        ("[2 cells](x.md) complete.", "| [2] cells | `one` | | `len(rows)` |"),
        ("It takes 8.1 ms.", "| [8.1] ms | `limits.md` | `plain loop 8.116` | `x[0]` |"),
        (
            "Of 2 cells.\n\n## B\n\n    python tests/benchmarks/NAME.py\n\n3 ms.",
            "| [2] cells | `one` | | `len(rows)` |",
        ),
    ],
)
def test_a_figure_that_is_right_passes(pages: ModuleType, docs: Path, page: str, line: str) -> None:
    write(docs, page, line)
    assert pages.check(docs)[1] == []


@pytest.mark.parametrize(
    ("page", "line", "complaint"),
    [
        ("It takes 0.21 J.", LINE.replace("0.20", "0.21"), "0.21 is 0.2"),
        ("It took 0.20 J.", LINE, "not in the page: takes [0.20] J"),
        ("It takes 0.20 J, 7 ms.", LINE, "no line names: It takes 0.20 J, 7 ms."),
        ("It takes 0.20 J.\n\n| fp32 | 1,000 |\n", LINE, "no line names: It takes 0.20 J. | fp32 | 1,000 |"),
        ("It takes 0.20 J.", LINE.replace("bf16", "tf32"), "ValueError: no such rows"),
        ("It takes 0.20 J.", LINE.replace("energy_per_item_j`", "joules`"), "NameError"),
        ("It takes 0.20 J.", LINE.replace("energy_per_item_j`", "[1, 2]`"), "2 values for 1 figures"),
        ("It takes 0.20 J.", LINE.replace("precision == 'bf16'", ""), "0.20 is 0.4"),
        ("It takes 0.20 J.", LINE.replace("energy_per_item_j`", "energy_per_item_j / 0 * 0`"), "0.20 is nan"),
        ("It takes 8.2 ms.", "| [8.2] ms | `limits.md` | `plain loop 8.2` | `x[0]` |", "has no such words"),
        ("10.20 J.", "| [0.20] J | `one` | `precision == 'bf16'` | `energy_per_item_j` |", "not in the page"),
    ],
)
def test_each_kind_of_mistake_is_named(pages: ModuleType, docs: Path, page: str, line: str, complaint: str) -> None:
    write(docs, page, line)
    assert any(complaint in text for text in pages.check(docs)[1]), pages.check(docs)[1]


def test_a_report_s_page_without_a_table_is_named(pages: ModuleType, docs: Path) -> None:
    (docs / "reports" / "gpu" / "README.md").write_text("It takes 7 ms.")
    assert pages.check(docs)[1] == [f"{Path('docs', 'reports', 'gpu', 'README.md')}: no figures.md names it"]


@pytest.mark.parametrize(
    ("value", "figure", "is_right"),
    [
        (20_649, "20,600", True), (20_651, "20,600", False), (0.0449, "0.045", True), (0.0444, "0.045", False),
        (99.6, "100", True), (99.4, "100", False), (14, "10", False), (5.0, "5.00", True), (5.006, "5.00", False),
    ],
)  # fmt: skip
def test_a_figure_stands_for_what_rounds_to_its_digits(
    pages: ModuleType, value: float, figure: str, is_right: bool
) -> None:
    assert pages.is_printed_as(value, figure) is is_right
