"""Errors in one line that keeps their cause."""

from __future__ import annotations

from workloads.runtime.words import in_short


def test_a_short_error_is_said_whole() -> None:
    assert in_short(ValueError("no\n  such thing")) == "ValueError: no such thing"


def test_a_long_one_keeps_its_beginning_and_the_cause_at_its_end() -> None:
    said = in_short(RuntimeError("backend failed\n" + "noise\n" * 500 + "CppCompileError: g++ is not found"), limit=80)
    assert said.startswith("RuntimeError: backend failed")
    assert said.endswith("g++ is not found")
    assert len(said) <= 82
