"""Cells in words: what goes without saying is left out, unless that is all there is to say."""

from __future__ import annotations

import pandas as pd

from analysis.cells.naming import common, label, labels, word


def test_settings_are_said_as_people_say_them() -> None:
    settings = {"device": "cpu", "precision": "bf16", "batch_size": 64.0, "rate_per_s": 12.5, "learning_rate": 2e-3,
                "compile": "default", "option size": "32"}  # fmt: skip
    assert label(settings, list(settings)) == "cpu, bf16, batch 64, 12.5 /s, lr 0.002, compile default, size 32"
    assert [word("model", v) for v in (None, float("nan"), pd.NA, "none", "m")] == [None, None, None, None, "m"]
    assert word("memory_format", "contiguous") is None


def test_what_goes_without_saying_is_said_where_nothing_else_tells_a_cell_from_the_next() -> None:
    frame = pd.DataFrame({"memory_format": ["contiguous", "channels_last"], "device": ["cpu", "cpu"]})
    assert labels(frame) == ["contiguous", "channels_last"]
    assert (
        label({"memory_format": "contiguous", "compile": "none"}, ["memory_format", "compile"])
        == "contiguous, compile none"
    )
    assert label({"device": "cpu"}, []) == "the one cell"
    assert common(frame) == "cpu"
