"""Sides of a comparison made up, and what the script says of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.comparison.page import main
from analysis.page.command_line import run_main
from tests.analysis.conftest import row
from tests.analysis.states import check_sensible

Cell = dict[str, Any]
Sweep = Callable[..., Path]
Repeated = Callable[..., str]


def slower(cell: Cell, factor: float) -> Cell:
    """The times of a cell that takes so many times as long."""
    names = ("step_median_s", "step_median_low_s", "step_median_high_s")
    return {name: cell[name] * factor for name in names if cell.get(name)}


def cells(speed: float = 1.0, n: int = 3, **values: Any) -> list[Cell]:
    """Batches of 1, 2, 4, ... whose steps take 0.1 s over ``speed``."""
    return [row(i, batch_size=2**i, step_median_s=0.1 / speed, **values) for i in range(n)]


def machine(devices: dict[str, float], **values: Any) -> list[Cell]:
    """Three batch sizes on each device, larger ones more efficient, at so many images per second at best."""
    made = [(device, best, batch) for device, best in devices.items() for batch in (1, 8, 64)]
    return [
        row(i, device=device, batch_size=batch, step_median_s=(batch + 8) / best, **values)
        for i, (device, best, batch) in enumerate(made)
    ]  # fmt: skip


def compared(tmp_path: Path, *arguments: object, code: int = 0) -> str:
    """The page that the script writes; its figures exist and have alternative texts."""
    output = tmp_path / "out" / "compare.md"
    assert run_main(main, [*map(str, arguments), "--output", str(output)]) == code
    text = output.read_text()
    check_sensible(text)
    for told, path in re.findall(r"!\[([^\n]*)\]\(([^)]+)\)", text):
        assert len(told) > 40
        assert (output.parent / path).stat().st_size > 5000, path
    return text


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the script says of arguments that it refuses, in one line."""
    capsys.readouterr()
    assert run_main(main, [*map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.out == ""
    return said.err


def rows_of(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    block = re.search(rf"## {heading}\n(?s:.*?)((?:^\|.*\n)+)", text, re.MULTILINE)
    assert block, text
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block[1].splitlines()]
