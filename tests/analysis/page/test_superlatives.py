"""Nothing is called the fastest, the best or the most of cells that are equal within noise, on any page or terminal."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from analysis.contract.limits import Limits
from analysis.page.command_line import SUBJECTS, run_script
from sweeps.session.summary import best_lines
from sweeps.store.schema import TRIALS
from tests.analysis.conftest import Write, row

ROOT = Path(__file__).parents[3]
CLAIMS = re.compile(
    r"\b(fastest|slowest|faster|slower|quickest|best|soonest|most|fewest|least|highest|lowest|shortest|frugal|first to reach)\b",
    re.IGNORECASE,
)
NO_CLAIM = re.compile(
    r"at (most|least)|best class|highest median|at its best|largest peak|None of them|"
    r"is as fast as|highest counts|neither faster nor slower",
    re.IGNORECASE,
)
"""Words of agreement, of counted memory and of what a comparison sets side by side."""
NOISE = (1.0, 1.004, 0.996, 1.002, 0.998, 1.003, 0.997, 1.001)


def cells(gains: Sequence[float] = NOISE, **values: Any) -> list[dict[str, Any]]:
    """Two devices in two precisions and two batch sizes; each figure is that of all but for a gain."""
    made = []
    for i, gain in enumerate(gains):
        batch, rate = (1, 8)[i % 2], 100 * gain
        made.append(row(
            i, device=("cpu", "gpu")[i // 4], precision=("fp32", "bf16")[i // 2 % 2], batch_size=batch,
            step_median_s=batch / rate, items_per_j=10 * gain, energy_per_item_j=0.1 / gain, energy_source="nvml",
            energy_domain="gpu board", mean_power_w=100.0, idle_power_w=20.0, latency_p50_s=batch / rate,
            latency_p99_s=1.2 / rate, n_samples=1000, flops_per_step=1e9, bytes_per_step=1e8, ceiling_flop_per_s=1e12,
            ceiling_bytes_per_s=1e11, achieved_flop_per_s=1e9 * rate / batch, achieved_bytes_per_s=1e8 * rate / batch,
            flop_share_ratio=0.1 * gain, bandwidth_share_ratio=0.1 * gain,
            **values,
        ))  # fmt: skip
    return made


def trainings(
    gains: Sequence[float] = NOISE, n_right: Sequence[int] = (353, 352, 350, 349, 351, 353, 350, 352)
) -> list[dict[str, Any]]:
    found = cells(
        gains, workload="finetune", scenario=None, tune="full", n_heldout_items=360, target_accuracy=0.9, epochs_run=1.0
    )
    return [
        r | {"accuracy_best": n / 360, "accuracy_final": n / 360, "time_to_target_s": 5 / g, "energy_to_target_j": 50 / g,
             "measured_s": 9.0}
        for r, n, g in zip(found, n_right, gains, strict=True)
    ]  # fmt: skip


def claims(text: str) -> list[str]:
    """The sentences that a page begins with, and its figures' texts, that rank one cell over others."""
    told = [*text.split("\n## ", 1)[0].splitlines()[1:], *re.findall(r"!\[([^\]]*)\]", text)]
    return [line for line in told if CLAIMS.search(NO_CLAIM.sub("", line))]


def page(name: str, folder: Path, tmp_path: Path, *more: str) -> str:
    output = tmp_path / "page.md"
    assert run_script(name, [str(folder), *more, "--output", str(output)]) in (0, 4)
    return output.read_text()


PAGES = ("report", *(subject for subject in SUBJECTS if subject not in ("coverage", "history")))


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", PAGES)
def test_of_cells_that_are_equal_within_noise_no_page_ranks_any(name: str, write_sweep: Write, tmp_path: Path) -> None:
    others = [r | {"trial_key": f"t{i}", "trial_index": 8 + i} for i, r in enumerate(trainings())]
    assert claims(page(name, write_sweep([*cells(), *others]), tmp_path)) == []


@pytest.mark.usefixtures("undrawn")
def test_of_cells_that_are_apart_the_pages_do(write_sweep: Write, tmp_path: Path) -> None:
    folder = write_sweep(cells((1, 2, 1, 2, 1, 2, 1, 8)), "apart")
    assert any(
        "is fastest" in line and "most images per joule" in line for line in claims(page("report", folder, tmp_path))
    )
    assert any("Most images per joule" in line for line in claims(page("energy", folder, tmp_path)))
    folder = write_sweep(
        trainings((1, 2, 1, 2, 1, 2, 1, 8), (300, 200, 300, 200, 300, 200, 300, 355)), "apart-finetune"
    )
    told = "\n".join(claims(page("finetune", folder, tmp_path)))
    assert "is the first to reach the target" in told
    assert "The best held-out accuracy" in told


def of_schema(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [dict.fromkeys(TRIALS.names) | {"seed": 0} | r for r in rows]


def test_the_terminal_ranks_what_is_apart_and_nothing_else() -> None:
    equal = best_lines(of_schema(trainings()), Limits())
    assert [line for line in equal if CLAIMS.search(line)] == []
    assert equal[0].startswith("one of 4 cells statistically indistinguishable in speed on cpu")
    assert "one of 4 cells statistically indistinguishable in accuracy on cpu" in equal[1]
    apart = best_lines(
        of_schema(trainings((1, 2, 1, 8, 1, 2, 1, 8), (300, 200, 355, 200, 300, 200, 300, 355))), Limits()
    )
    assert [line.split(" on ")[0] for line in apart] == ["fastest", "most accurate"] * 2
    nothing = [r | {"learned": "nothing"} for r in of_schema(trainings())]
    assert "no training run did better than guessing" in best_lines(nothing, Limits())


@pytest.mark.usefixtures("undrawn")
def test_a_network_at_chance_has_learned_nothing_and_is_not_the_best(write_sweep: Write, tmp_path: Path) -> None:
    folder = write_sweep([r | {"learned": "nothing", "accuracy_best": 0.12} for r in trainings()], "chance")
    for name in ("report", "finetune"):
        text = page(name, folder, tmp_path).split("\n## ", 1)[0]
        assert "No training run did better than guessing" in text
        assert "best held-out" not in text


BUILDERS = [
    *sorted(
        p for name in ("recommendation", "subjects", "comparison") for p in (ROOT / "analysis" / name).rglob("*.py")
    ),
    ROOT / "sweeps/session/summary.py",
]
DECIDES = (
    "analysis.cells.ranking",
    "analysis.stats.told_apart",
    "analysis.comparison.comparison",
    "quantities",
    "recommend",
)
"""What a file that ranks imports: the function itself, or the numbers that were ranked by it."""
NAMES_ONLY = {
    "analysis/comparison/verdicts.py", "analysis/subjects/energy/figures.py", "analysis/subjects/latency/tried.py",
    "analysis/subjects/pruning/search_figures.py",
    "analysis/comparison/best.py", "analysis/comparison/tables.py", "analysis/comparison/caveats.py",
    "analysis/comparison/page.py", "analysis/comparison/forest.py",
}  # fmt: skip
"""Files whose words name columns, marks of figures, or verdicts that were decided elsewhere."""
COUNTED = {
    "analysis/subjects/coverage/page.py",
    "analysis/subjects/coverage/tables.py",
    "analysis/subjects/coverage/changes.py",
}
"""Calls of one operation: less than ``FASTER`` times is told to be noise."""


def ranks(path: Path) -> list[str]:
    """The literals of a file that say so, less its docstrings."""
    tree = ast.parse(path.read_text())
    told = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
    words = [
        n.value
        for n in ast.walk(tree)
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in told
    ]
    return [word for word in words if " " in word and CLAIMS.search(NO_CLAIM.sub("", word))]


def test_every_file_that_ranks_asks_the_one_function() -> None:
    ranked = {str(path.relative_to(ROOT)): told for path in BUILDERS if (told := ranks(path))}
    assert len(ranked) > 10
    sources = {name: (ROOT / name).read_text() for name in ranked.keys() - NAMES_ONLY - COUNTED}
    alone = [name for name, source in sources.items() if not any(decides in source for decides in DECIDES)]
    assert {name: ranked[name] for name in alone} == {}
