"""What became of cells over many sweeps, on hand-made ones with known steps."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.page.command_line import run_main
from analysis.subjects.history.page import main
from analysis.subjects.history.series import series_of, steps_of
from analysis.subjects.history.sweeps import all_sweeps
from tests.analysis.conftest import Write, row

NOISE = (1.0, 1.004, 0.997, 1.002, 0.999, 1.003)


def sweeps(write_sweep: Write, torch: list[str], slow: list[float], **values: Any) -> Path:
    """One sweep a day of two cells, of which the second takes ``slow`` times as long."""
    for i, (version, times) in enumerate(zip(torch, slow, strict=True)):
        rows = [row(j, batch_size=8 * (j + 1), torch_version=version, device_name="a processor",
                    step_median_s=0.1 * (j + 1) * NOISE[(i + j) % 6] * (times if j else 1), **values) for j in range(2)]  # fmt: skip
        folder = write_sweep(rows, f"results/sweep{i}", created_at=f"2026-01-0{i + 1}T00:00:00")
        (folder / "report.md").write_text("# report\n")
    return folder.parent


def test_which_release_made_which_cell_slower(write_sweep: Write, tmp_path: Path) -> None:
    folder = sweeps(write_sweep, ["2.14"] * 3 + ["2.15"] * 3, [1.0] * 3 + [1.25] * 3)
    found, lost = all_sweeps([folder])
    assert (len(found), lost) == (6, [])
    steps = steps_of(series_of(found))
    assert [(s.series.name, s.change, s.verdict) for s in steps] == [
        ("cpu, fp32, batch 8", "torch 2.14 to 2.15", "same"), ("cpu, fp32, batch 16", "torch 2.14 to 2.15", "slower")]  # fmt: skip
    assert steps[1].ratio.value == pytest.approx(0.8, rel=0.01)
    assert main([str(folder), "--html"]) == 0
    text = (folder / "report_history.md").read_text()
    assert "From torch 2.14 to 2.15, 1 of 2 cells is slower: cpu, fp32, batch 16 at 0.80" in text
    assert "[sweep5](<sweep5/report.md>)" in text
    assert text.index("sweep5") < text.index("sweep0"), "the newest first"
    assert (folder / "figures" / "history.png").stat().st_size > 5000


def test_one_run_a_version_proves_nothing_and_repeats_within_the_sweeps_do(write_sweep: Write) -> None:
    folder = sweeps(write_sweep, ["2.14", "2.15"], [1.0, 1.25])
    assert {step.verdict for step in steps_of(series_of(all_sweeps([folder])[0]))} == {"unclear"}
    for i, (version, times) in enumerate((("2.14", 1.0), ("2.15", 1.25))):
        rows = [row(10 * j + n, batch_size=8 * (j + 1), torch_version=version, repeat=n + 1,
                    step_median_s=0.1 * (j + 1) * NOISE[n] * times) for j in range(2) for n in range(4)]  # fmt: skip
        write_sweep(rows, f"repeated/s{i}", created_at=f"2026-01-0{i + 1}")
    steps = steps_of(series_of(all_sweeps([folder.parent / "repeated"])[0]))
    assert [step.verdict for step in steps] == ["slower", "slower"]


def test_a_step_that_no_version_explains_is_found_once(write_sweep: Write) -> None:
    folder = sweeps(write_sweep, ["2.14"] * 6, [1.0] * 3 + [1.5] * 3)
    (step,) = steps_of(series_of(all_sweeps([folder])[0]))
    assert (step.change, step.verdict, step.series.name) == ("", "slower", "cpu, fp32, batch 16")
    assert [point.sweep.name for point in step.after] == ["sweep3", "sweep4", "sweep5"]


def test_a_number_that_one_sweep_has_whole_and_another_as_a_float_is_the_same(write_sweep: Write) -> None:
    write_sweep([row(0, n_threads=4)], "results/a", created_at="2026-01-01")
    rows = [row(0, n_threads=4), row(1, batch_size=2, n_threads=None, status="error")]
    folder = write_sweep(rows, "results/b", created_at="2026-01-02").parent
    assert [len(one.points) for one in series_of(all_sweeps([folder])[0])] == [2]


def test_other_machines_and_other_work_are_other_series(write_sweep: Write) -> None:
    write_sweep([row(0)], "results/a", created_at="2026-01-01")
    write_sweep([row(0, host="other")], "results/b", created_at="2026-01-02")
    folder = write_sweep([row(0, input_shape="3x9x9")], "results/c", created_at="2026-01-03").parent
    assert series_of(all_sweeps([folder])[0]) == []
    assert main([str(folder)]) == 0
    text = (folder / "report_history.md").read_text()
    assert "Nothing can be followed over time" in text
    assert text.count("| [") + text.count("| a |") + text.count("| b |") + text.count("| c |") == 3


def test_a_sweep_that_cannot_be_read_is_named_and_without_any_it_is_one_line(
    write_sweep: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweeps(write_sweep, ["2.14"] * 2, [1.0] * 2)
    (folder / "broken").mkdir()
    (folder / "broken" / "sweep.json").write_text("{")
    whole = (folder / "sweep1" / "trials" / "part-0.parquet").read_bytes()
    (folder / "sweep1" / "trials" / "part-1.parquet").write_bytes(whole[: len(whole) // 2])
    assert main([str(folder)]) == 0
    text = (folder / "report_history.md").read_text()
    assert "Left out: broken: " in text
    assert "Left out: sweep1: part-1.parquet cannot be read." in text
    (tmp_path / "none").mkdir()
    assert run_main(main, [str(tmp_path / "none")]) == 2
    assert "contains no sweep" in capsys.readouterr().err


@pytest.mark.parametrize("is_described", [True, False])
def test_published_sweeps_of_a_folder_are_found_and_in_order(write_sweep: Write, is_described: bool) -> None:
    began = {"started_at": pd.Timestamp("2026-01-02T00:00:00", tz="UTC")}
    folder = sweeps(write_sweep, ["2.14"] * 2, [1.0] * 2, **({} if is_described else began))
    for sweep in folder.iterdir():
        shutil.move(sweep / "trials" / "part-0.parquet", sweep / "trials.parquet")
        (sweep / "trials").rmdir()
        if not is_described:
            (sweep / "sweep.json").unlink()
    found, lost = all_sweeps([folder])
    assert ([sweep.name for sweep in found], lost) == (["sweep0", "sweep1"], [])
    assert [sweep.day for sweep in found] == [f"2026-01-0{1 + i if is_described else 2} 00:00" for i in range(2)]
    (one,), _ = all_sweeps([folder / "sweep1"])
    assert one.name == "sweep1"


def test_sweeps_in_turns_with_two_releases_are_two_sides(write_sweep: Write) -> None:
    folder = sweeps(write_sweep, ["2.15", "2.9"] * 3, [1.25, 1.0] * 3)
    steps = steps_of(series_of(all_sweeps([folder])[0]))
    assert [(s.change, s.verdict) for s in steps] == [("torch 2.9 to 2.15", "same"), ("torch 2.9 to 2.15", "slower")]
    assert main([str(folder)]) == 0
    assert "a side is one sweep" not in (folder / "report_history.md").read_text()


def test_another_name_of_the_device_is_a_change_like_a_version(write_sweep: Write) -> None:
    for i in range(4):
        write_sweep([row(0, device_name="card A" if i < 2 else "card B", step_median_s=0.1 * NOISE[i])],
                    f"results/s{i}", created_at=f"2026-01-0{i + 1}")  # fmt: skip
    folder = write_sweep([row(0, device_name="card B")], "results/s4", created_at="2026-01-05").parent
    (step,) = steps_of(series_of(all_sweeps([folder])[0]))
    assert (step.change, step.verdict) == ("device card A to card B", "same")
