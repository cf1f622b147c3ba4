"""Errors in one line that keeps their cause."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sweeps.cell.outcome import killed, outcome_of
from sweeps.coverage.can_run import whole_told
from sweeps.session.terminal import format_result
from sweeps.text import one_line
from workloads.base import UnsupportedError
from workloads.runtime.words import in_short, shortened


def test_a_short_error_is_said_whole() -> None:
    assert in_short(ValueError("no\n  such thing")) == "ValueError: no such thing"


def test_a_long_one_keeps_its_beginning_and_the_cause_at_its_end() -> None:
    said = in_short(RuntimeError("backend failed\n" + "noise\n" * 500 + "CppCompileError: g++ is not found"), limit=80)
    assert said.startswith("RuntimeError: backend failed")
    assert said.endswith("g++ is not found")
    assert len(said) <= 82


CAUSE = "CppCompileError: g++ is not found"
LONG = "backend failed\n" + "noise from the compiler\n" * 500 + CAUSE


def test_an_error_keeps_its_cause_wherever_it_is_told() -> None:
    """In a row's reason and message, on the terminal, and in what can-run says."""
    unsupported, failed = outcome_of(UnsupportedError(LONG)), outcome_of(RuntimeError(LONG))
    told = [
        unsupported.status_reason, unsupported.error_message, failed.error_message,
        killed(LONG, "died", is_out_of_memory=False).error_message,
        format_result({"status": "error", "error_message": LONG}),
        whole_told({"runs": False, "reason": LONG}), one_line(LONG), shortened(LONG, 100),
    ]  # fmt: skip
    for text in told:
        assert text is not None
        assert text.startswith(("backend failed", "does not run: backend failed"))
        assert text.endswith(CAUSE)
    assert "\n" not in f"{told[0]}{told[4]}{told[5]}"


def cut(node: ast.AST) -> bool:
    """Whether an expression is the first so many characters of a text, or its first line, as an error is cut short."""
    if not isinstance(node, ast.Subscript):
        return False
    if isinstance(node.slice, ast.Slice):
        end = node.slice.upper
        is_long = isinstance(end, ast.Constant) and isinstance(end.value, int) and end.value >= 100
        return node.slice.lower is None and is_long
    called = node.value.func if isinstance(node.value, ast.Call) else None
    is_first = isinstance(node.slice, ast.Constant) and node.slice.value == 0
    return is_first and isinstance(called, ast.Attribute) and called.attr == "splitlines"


@pytest.mark.parametrize("package", ["sweeps", "workloads", "analysis"])
def test_no_text_is_cut_before_its_end_but_here(package: str) -> None:
    files = sorted((Path(__file__).parents[3] / package).rglob("*.py"))
    found = [f"{file}:{node.lineno}" for file in files for node in ast.walk(ast.parse(file.read_text())) if cut(node)]  # type: ignore[attr-defined]
    assert not found, f"in_short or shortened keeps the cause: {found}"
    assert len(files) > 20
