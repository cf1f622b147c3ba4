"""Tables of figures: rounding never puts two rows in another order than their values have."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from analysis.cells.columns import THROUGHPUT
from analysis.page.columns import between, cell_table, column_table, interval, plain, shared_words
from analysis.text import MISSING, number, seconds_as_ms, significant
from tests.analysis.conftest import row

RNG = np.random.default_rng(0)


def _rows(n: int) -> list[dict[str, float | None]]:
    """Neighbouring values of any size with intervals of any width, some without."""
    values = 10.0 ** RNG.uniform(-6, 9) * np.exp(RNG.normal(0, 10.0 ** RNG.uniform(-4, 0), n))
    widths = 10.0 ** RNG.uniform(-5, -0.3, n)
    ends = [(v * (1 - w), v * (1 + w)) if known else (None, None)
            for v, w, known in zip(values, widths, RNG.random(n) < 0.8, strict=True)]  # fmt: skip
    return [dict(zip(THROUGHPUT, (float(v), *e), strict=True)) for v, e in zip(values, ends, strict=True)]


def _cells(table: str, column: int) -> list[str]:
    return [line.split(" | ")[column].strip("| ") for line in table.splitlines()[2:]]


def _digits(text: str) -> int:
    """Significant digits as written, zeros at the end of a whole number counted."""
    return len(text.split("e", maxsplit=1)[0].replace(",", "").replace(".", "").lstrip("0"))


@pytest.mark.parametrize("seed", range(150))
def test_no_column_has_its_values_in_another_order_than_they_have(seed: int) -> None:
    rows = sorted(_rows(12), key=lambda row: row[THROUGHPUT[0]] or 0.0)
    table = column_table(rows, [plain("plain", THROUGHPUT[0]), between("value", THROUGHPUT),
                                interval("interval", THROUGHPUT)])  # fmt: skip
    lows = [_cells(table, 2)[i].split(" to ")[0] for i in
            sorted(range(len(rows)), key=lambda i: rows[i][THROUGHPUT[1]] or 0.0)]  # fmt: skip
    for shown in (_cells(table, 0), _cells(table, 1), [low for low in lows if low != MISSING]):
        told = [float(text.replace(",", "")) for text in shown]
        assert told == sorted(told)
        assert min(map(_digits, shown)) >= 3, "three digits at least"
    decimals = [text for text in _cells(table, 1) if "." in text and "e" not in text]
    assert len(set(map(_digits, decimals))) <= 1, "as many digits in each row"


def test_what_was_published_in_the_wrong_order_is_not_any_more() -> None:
    """146,884 with a wide interval was 150,000 and 146,167 with a narrow one 146,000."""
    rows = [dict(zip(THROUGHPUT, one, strict=True)) for one in [(146_884.0, 139_000.0, 155_000.0),
                                                                 (146_167.0, 146_000.0, 146_400.0)]]  # fmt: skip
    assert _cells(column_table(rows, [between("value", THROUGHPUT)]), 0) == ["146,900", "146,200"]
    assert [number(row[THROUGHPUT[0]]) for row in rows] == ["147,000", "146,000"], "of sentences all have three"


def test_a_number_that_rounds_up_to_the_next_decade_has_no_digit_more() -> None:
    assert [significant(v) for v in (99.94, 99.96, 0.9996)] == ["99.9", "100", "1.00"]
    assert seconds_as_ms(0.0099996) == "10.0"


@pytest.mark.parametrize("column", [plain("x", "x"), between("x", ("x", "low", "high"))])
def test_what_is_unknown_is_told_as_such(column: object) -> None:
    frame = pd.DataFrame({"x": [None, 2.0], "low": [None, None], "high": [None, np.nan]}, dtype=object)
    rows = frame.to_dict("records")
    assert list(itertools.chain(column.texts(rows))) == [MISSING, "2.00"]  # type: ignore[attr-defined]


def test_a_setting_that_no_row_of_a_mixed_frame_has_is_not_shared() -> None:
    frame = pd.DataFrame([{"device": "cpu", "tune": math.nan, "pipeline": None, "batch_size": 8.0}], dtype="object")
    assert shared_words(frame, list(frame)) == "All with device cpu, batch size 8."


def test_rows_that_differ_in_the_number_of_devices_alone_say_it() -> None:
    cells = pd.DataFrame([row(i, n_devices=n) for i, n in enumerate((1, 2, 4))])
    assert _cells(cell_table(cells, []), -1) == ["1", "2", "4"]
