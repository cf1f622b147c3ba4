"""Any text on the command line gives a sweep's grid, or one line and exit code 2; never a traceback."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.commands import TOOLS, main
from sweeps.plan.parsing import parse
from sweeps.plan.search_options import LatencyLimit, SearchOptions
from sweeps.plan.sweep_options import SweepOptions
from workloads.base import BadInputError
from workloads.registry import load_workload

WORKLOADS = ("image-processing", "inference", "finetune")
NOT_HERE = {"images", "data", "output", "resume"}
"""Their text names files; what random words find on this disk is no business of the test's."""
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
# No NUL: a command line cannot hold it. Lone surrogates stand for bytes that are no UTF-8.
WORDS = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=()), max_size=12),
    st.sampled_from(
        ["", "-", "--", "=", "nan", "inf", "-inf", "-1", "0", "1e400", "9" * 25, "9" * 5000, "x" * 3000, "1:2", "1:8:log2",
         "2:1", f"1:{'9' * 400}", "1e300:1e308", "auto", "None", "True", "1_000", "\uff11", "\udcff", "\x1b[31m", "[/bold]",
         "a|b", "a\nb", "~", "/", ".", "~nobody/x", "cpu", "fp32"]
    ),
    st.integers().map(str), st.floats().map(str),
)  # fmt: skip


def option_names(*kinds: type) -> list[str]:
    names = {f.name for kind in kinds for f in dataclasses.fields(kind)} - NOT_HERE
    return sorted(f"--{name.replace('_', '-')}" for name in names)


OPTIONS = {
    name: option_names(SweepOptions, SearchOptions, LatencyLimit, load_workload(name).Options) for name in WORKLOADS
}


def run(arguments: list[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error; ``--help`` and its kind leave by SystemExit."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


def is_one_plain_line(text: str) -> bool:
    return text.count("\n") == 1 and text.endswith("\n") and text[:-1].isprintable() and len(text) < 700


@QUICK
@given(data=st.data(), name=st.sampled_from(WORKLOADS), words=st.lists(WORDS, min_size=1, max_size=3))
def test_any_value_of_any_option_is_taken_or_told_in_one_line(data: st.DataObject, name: str, words: list[str]) -> None:
    option = data.draw(st.sampled_from(OPTIONS[name]))
    given_ = [option, *words] if data.draw(st.booleans()) else [f"{option}={words[0]}"]
    search = data.draw(st.sampled_from([[], ["--search", "tpe"]]))
    code, out, err = run([name, *given_, *search, "--dry-run"])
    if code == 2:
        assert is_one_plain_line(err), err
        assert err.startswith("accelsweep: error: ")
    else:
        assert code == 0
        assert out


@QUICK
@given(first=st.one_of(st.sampled_from(WORKLOADS), WORDS), words=st.lists(WORDS, max_size=4))
def test_any_words_at_all_are_taken_or_told_in_one_line(first: str, words: list[str]) -> None:
    code, _, err = run([first, "--dry-run", *words])
    assert code in {0, 2}
    assert code == 0 or is_one_plain_line(err), err


@QUICK
@given(data=st.data(), name=st.sampled_from(sorted(TOOLS)), words=st.lists(WORDS, min_size=1, max_size=2))
def test_any_words_after_a_tool_are_taken_or_told(data: st.DataObject, name: str, words: list[str]) -> None:
    kind = TOOLS[name][0]
    names = [f"--{f.name.replace('_', '-')}" for f in dataclasses.fields(kind)]
    arguments = [*data.draw(st.sampled_from([[n] for n in names] or [[]])), *words]
    ended: object = None
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            assert isinstance(parse(kind, name, arguments), kind)
    except BadInputError as error:
        ended = str(error)
    except SystemExit as end:  # help was asked for
        ended = not end.code
    assert ended or ended is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["inference", "--min-s", "a|b"], "--min-s: 'a|b' is not a number"),
        (["inference", "--min-s", "nan"], "--min-s: nan is not a finite number"),
        (["inference", "--max-s", "1e999"], "--max-s: inf is not a finite number"),
        (["inference", "--min-rounds", "1.5"], "--min-rounds: '1.5' is not a whole number"),
        (["inference", "--patience", "x"], "--patience: 'x' is not a whole number"),
        (["inference", "--trials", "9" * 5000], "--trials: the number is over 9223372036854775807"),
        (["inference", "--seed", "-1", "--dry-run"], "--seed: -1 must lie between 0 and 4294967295"),
        (["inference", "--batch-size", "9" * 5000], "--batch-size: a number of 5000 digits is over 2147483647"),
        (["inference", "--batch-size", "2147483648", "--dry-run"], "--batch-size: 2147483648 is over 2147483647"),
        (["inference", "--search", "tpe", "--batch-size", f"1:{'9' * 400}"], "--batch-size: range: an end is over 1e+18"),
        (["inference", "--scenario", "batch"],
         "--scenario: 'batch' is not one of offline, single-stream, multi-stream, server"),
        (["inference", "--pruner", "best"],
         "--pruner: 'best' is not one of none, median, percentile, hyperband, successive-halving, wilcoxon, patient"),
        (["inference", "--min-s"], "--min-s: needs a value"),
        (["inference", "--budget", "9" * 400], "is not a duration; write 90s, 10m or 2h"),
        (["finetune", "--learning-rate", "nan"], "--learning-rate: nan is not a finite number"),
        (["can-run"], "can-run: needs MODEL"),
        (["inference", "--model", "\x1b]0;owned\x07"], r"--model: '\x1b]0;owned\x07' is unknown"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_option_value_and_what_is_allowed(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert is_one_plain_line(error)


@pytest.mark.parametrize("option", ["--images", "--weights"])
@pytest.mark.parametrize("name", ["x" * 300, "\udcff", "a\nb", "/dev/null", "/proc/self/mem"])
def test_paths_that_name_nothing_useful_are_told(
    option: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["inference", option, name, "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert option in error
    assert is_one_plain_line(error)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "null", '{"schema_version": 1}', '{"schema_version": 1, "config": [], "cells": 3}',
                '{"schema_version": 1, "config": {"workload": "inference"}, "cells": []}', "[" * 100_000, "\udcff"]
)  # fmt: skip
def test_a_sweep_whose_description_is_broken_is_told_and_listed(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "[red] broken\x1b[31m :smile:"
    broken.mkdir()
    (broken / "sweep.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert main(["inference", "--resume", broken.name, "--output", str(tmp_path), "--dry-run"]) == 2
    assert is_one_plain_line(capsys.readouterr().err)
    assert main(["list", "--output", str(tmp_path)]) == 0
    listed = capsys.readouterr().out
    assert r"[red] broken\x1b[31m :smile:" in listed
    assert "could not be read" in listed
    assert "\x1b" not in listed
