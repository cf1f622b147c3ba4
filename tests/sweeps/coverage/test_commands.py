"""The commands as a user runs them: bad usage, a sweep resumed after losing rows, a model asked about."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sweeps.commands import main

Say = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("op-coverage", "--dtype", "fp8"), "--dtype: 'fp8' is not one of fp32, fp16, bf16, int8, uint8"),
        (("op-coverage", "--device", "tpu"), "--device: 'tpu' is not on this machine"),
        (("op-coverage", "--max-samples", "0"), "--max-samples: 0 must be at least 1"),
        (("op-coverage", "--resume", "nosuch"), "no coverage sweep 'nosuch'"),
        (("op-coverage", "--operation-timeout", "soon"), "'soon' is not a duration"),
        (("can-run", "resnet81"), "'resnet81' is not in torchvision's zoo; similar names: resnet"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_a_sweep_that_lost_rows_is_resumed_to_the_same_cells(shared_ray: Path, tmp_path: Path, capsys: Say) -> None:
    asked = ("--source", "transforms", "--ops", "rotate_image", "horizontal_flip_image", "--dtype", "fp32", "uint8",
             "--processes", "1")  # fmt: skip
    assert main(["op-coverage", "--device", "cpu", *asked]) == 0
    sweep = next((tmp_path / "results").glob("*-op-coverage"))
    joined = sweep / "operations" / "all-000001.parquet"
    table = pq.read_table(joined)
    rows = {(r["operation"], r["dtype"], r["direction"]): r for r in table.to_pylist()}
    assert len(rows) == 6
    assert {r["verdict"] for r in rows.values()} == {"supported"}
    assert rows["rotate_image", "uint8", "forward"]["timing_elements"] is not None
    assert (sweep / "report_coverage.md").is_file()

    lost = ("rotate_image", "uint8")
    keep = [i for i, r in enumerate(table.to_pylist()) if (r["operation"], r["dtype"]) != lost]
    pq.write_table(table.take(keep), joined)
    capsys.readouterr()
    assert main(["op-coverage", "--resume", sweep.name]) == 0
    assert "1 of 4 cells" in capsys.readouterr().out
    found = [r for file in (sweep / "operations").glob("*.parquet") for r in pq.read_table(file).to_pylist()]
    assert {(r["operation"], r["dtype"], r["direction"]) for r in found} == set(rows)
    assert len(found) == len(rows)


def test_a_model_that_runs_here_is_said_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Say) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["can-run", "squeezenet1_1", "--device", "cpu"]) == 0
    told = capsys.readouterr().out
    assert "squeezenet1_1 on cpu in fp32" in told
    assert "runs and agrees with the CPU in fp64" in told
    assert "executed" in told
