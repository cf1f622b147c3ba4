"""Bad input: one line with the value and what is allowed, exit code 2, before Ray starts."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import torch

from sweeps.store.schema import SCHEMA_VERSION

CASES = {
    "workload": (["dance"], ["'dance'", "finetune"]),
    "device name": (["inference", "--device", "tpu9"], ["--device", "'tpu9'", "cpu"]),
    "device not here": (["inference", "--device", "cpu", "xpu"], ["--device", "'xpu'", "cpu"]),
    "precision": (["inference", "--precision", "fp4"], ["--precision", "'fp4'", "bf16"]),
    "model": (["inference", "--model", "resnet51"], ["--model", "'resnet51'", "resnet50"]),
    "batch size 0": (["inference", "--batch-size", "0"], ["--batch-size", "'0'", "positive"]),
    "batch size abc": (["inference", "--batch-size", "abc"], ["--batch-size", "'abc'", "positive"]),
    "memory format": (["inference", "--memory-format", "nhwc"], ["--memory-format", "channels_last"]),
    "compile": (["inference", "--compile", "max"], ["--compile", "reduce-overhead"]),
    "pipeline": (["image-processing", "--pipeline", "sharpen"], ["sharpen", "resize"]),
    "tune": (["finetune", "--tune", "tail"], ["tail", "head"]),
    "no images": (["image-processing", "--images", "nowhere"], ["--images", "nowhere"]),
    "no data": (["finetune", "--data", "nowhere"], ["--data", "nowhere"]),
    "resume": (["finetune", "--resume", "never-was"], ["--resume", "'never-was'"]),
    "budget": (["finetune", "--budget", "soon"], ["--budget", "'soon'", "10m"]),
    "timeout": (["finetune", "--trial-timeout", "-1"], ["--trial-timeout"]),
    "option": (["inference", "--batchsize", "1"], ["--batchsize"]),
    "rounds": (["inference", "--min-rounds", "0"], ["--min-rounds", "0"]),
}


@pytest.mark.parametrize(("arguments", "told"), CASES.values(), ids=CASES.keys())
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str],
    told: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from sweeps.commands import main

    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    for word in told:
        assert word in error
    assert not list(tmp_path.glob("results/*"))


def test_the_script_itself_exits_with_2_and_no_traceback(accelsweep) -> None:
    ended = accelsweep("inference", "--batch-size", "none")
    assert ended.returncode == 2
    assert ended.stderr == "accelsweep: error: --batch-size: 'none' is not a positive whole number\n"


def test_an_output_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sweeps.commands import main

    (tmp_path / "file").write_text("")
    assert main(["inference", "--smoke", "--output", str(tmp_path / "file")]) == 2
    assert "--output" in capsys.readouterr().err


def test_results_of_another_schema_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sweeps.commands import main

    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "sweep.json").write_text(json.dumps({"schema_version": SCHEMA_VERSION + 7}))
    assert main(["inference", "--resume", "old", "--output", str(tmp_path)]) == 2
    assert f"schema version {SCHEMA_VERSION + 7}" in capsys.readouterr().err


def test_empty_and_undecodable_images_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sweeps.commands import main

    (tmp_path / "empty").mkdir()
    assert main(["image-processing", "--images", str(tmp_path / "empty")]) == 2
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "text.jpg").write_text("no picture")
    assert main(["image-processing", "--images", str(tmp_path / "bad")]) == 2
    assert capsys.readouterr().err.count("--images") == 2


class Evil:
    """What a pickle may hold: a call that its loading makes."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def weights_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files given as weights, with what is said of each."""
    torch.save({"weight": Evil(folder / "ran")}, folder / "evil.pt")
    (folder / "pickle.pt").write_bytes(pickle.dumps(Evil(folder / "ran")))
    torch.save(torch.nn.Linear(2, 2), folder / "module.pt")
    torch.save(torch.nn.Linear(2, 2).state_dict(), folder / "other.pt")
    torch.save([1, 2], folder / "list.pt")
    (folder / "text.pt").write_text("no weights")
    (folder / "empty.pt").write_bytes(b"")
    os.mkfifo(folder / "pipe.pt")
    more = "holds more than tensors"
    told = {"evil": more, "pickle": more, "module": more, "other": "is of another architecture", "list": "list", "text": "not a state dictionary",
            "empty": "is empty", "pipe": "is not a file"}  # fmt: skip
    return {name: (folder / f"{name}.pt", words) for name, words in told.items()}


@pytest.mark.parametrize("workload", ["inference", "finetune"])
def test_weights_that_are_none_are_refused_before_ray_and_run_nothing(
    workload: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sweeps.commands import main

    for file, told in weights_files(tmp_path).values():
        assert main([workload, "--weights", str(file), "--model", "shufflenet_v2_x0_5", "--output", str(tmp_path)]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"accelsweep: error: --weights: '{file}' is ")
        assert told in error
        assert error.count("\n") == 1
    assert not (tmp_path / "ran").exists()


def test_weights_that_fit_are_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sweeps.commands import main
    from workloads.models.loading import build_model

    torch.save(build_model("shufflenet_v2_x0_5", pretrained=False).module.state_dict(), tmp_path / "mine.pt")
    command = ["inference", "--weights", str(tmp_path / "mine.pt"), "--model", "shufflenet_v2_x0_5", "--dry-run"]
    assert main(command) == 0
    assert main([*command, "--model", "shufflenet_v2_x0_5", "squeezenet1_1"]) == 2
    assert "mine.pt' is of another architecture: 0 of the 52 tensors of squeezenet1_1" in capsys.readouterr().err
