"""What the terminal shows of a running sweep, by a clock of the test's own."""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from sweeps.commands import main
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.session import summary as closing
from sweeps.session import terminal as progress
from sweeps.session.terminal import MAX_REASON, Terminal, format_result
from sweeps.store.store import ResultStore

CELLS = [TrialConfig(workload="w", device="cpu", batch_size=size) for size in (1, 2, 3)]
DONE = {"status": "complete", "throughput_items_per_s": 5.0, "item": "images", "wall_s": 4.0}


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return time.time()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def shown(terminal: Terminal, console: Console) -> str:
    with console.capture() as captured:
        console.print(terminal._render())
    return captured.get()


def test_the_time_left_counts_cells_alone_and_runs_down_between_their_ends(clock: Clock) -> None:
    console = Console(file=io.StringIO(), width=80)
    terminal = Terminal(3, 0, console)
    assert "starting Ray" in shown(terminal, console)
    clock.now = 30.0  # Ray has started
    terminal.cell_started(CELLS[0])
    assert terminal.eta_s is None
    clock.now = 40.0
    terminal.cell_ended(CELLS[0], DONE)
    assert terminal.eta_s == 20.0
    terminal.cell_started(CELLS[1])
    clock.now = 46.0
    assert "ETA 14 s" in shown(terminal, console)
    assert "running 6 s" in shown(terminal, console)
    clock.now = 90.0
    assert terminal.eta_s == 0.0
    terminal.cell_ended(CELLS[1], DONE)
    terminal.cell_started(CELLS[2])
    terminal.cell_ended(CELLS[2], DONE)
    assert "ETA" not in shown(terminal, console)


def test_what_is_waited_for_is_told_with_the_time_since_the_start() -> None:
    file = io.StringIO()
    with Terminal(1, 0, Console(file=file, width=120)) as terminal:
        terminal.awaits("waiting for Ray to start")
        terminal.cell_started(CELLS[0])
        terminal.cell_ended(CELLS[0], DONE)
        terminal.cell_started(CELLS[1])
    waits = [line for line in file.getvalue().splitlines() if line.endswith(" ...")]
    assert [re.sub(r"^[\d.]+ s: ", "", line) for line in waits] == [
        "waiting for Ray to start ...",
        f"opening {CELLS[0].device} and loading a model and its input for the first cell ...",
    ]


def test_cells_that_are_unsupported_and_end_at_once_do_not_shorten_the_time_left(clock: Clock) -> None:
    terminal = Terminal(4, 0, Console(file=io.StringIO(), width=80))
    terminal.cell_started(CELLS[0])
    terminal.cell_ended(CELLS[0], {**DONE, "status": "unsupported"})
    clock.now = 10.0
    terminal.cell_started(CELLS[1])
    terminal.cell_ended(CELLS[1], DONE)
    assert terminal.eta_s == 20.0


def test_a_line_of_the_live_table_fits_80_columns(clock: Clock) -> None:
    console = Console(file=io.StringIO(), width=80)
    terminal = Terminal(3, 0, console)
    cell = TrialConfig(workload="w", device="cuda", batch_size=1024, model="efficientnet_lite0", memory_format="channels_last",
                       compile="reduce-overhead", options={"scenario": "single-stream"})  # fmt: skip
    terminal.cell_started(cell)
    terminal.cell_ended(cell, {**DONE, "status": "unsupported", "status_reason": "x " * 60})
    assert max(len(line) for line in shown(terminal, console).splitlines()) <= 80


def test_why_a_cell_has_no_figure_is_told_whole_or_says_that_it_is_cut() -> None:
    whole = "needs --batch-size 2, an --image-size over 48 or --tune head"
    assert format_result({"status": "unsupported", "status_reason": whole}) == whole
    cut = format_result({"status": "unsupported", "status_reason": f"{whole}: {'x' * 200} of the last cause"})
    assert cut.startswith(whole)
    assert cut.endswith("xx of the last cause")
    assert " ... " in cut
    assert len(cut) <= MAX_REASON


@pytest.mark.parametrize(
    "command", ["image-processing", "inference", "finetune", "op-coverage", "can-run", "selftest", "merge"]
)
def test_help_says_defaults_once_and_in_words(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    told = re.sub(r"[\s│|]+", " ", capsys.readouterr().out)
    assert not re.search(r"\{None\}|\(default: (?:None|''|\[\])? ?\)", told)
    assert "{," not in told  # no empty choice: it means that the option is absent
    assert "Options(*," not in told  # nor the signature of what holds the options
    assert "show this help message" in told
    assert "starting Ray" not in told


def test_the_list_of_sweeps_fits_80_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = SweepConfig(
        workload="image-processing", device=("cpu",), batch_size=(1,), precision=("fp32",), model=("m",)
    )
    ResultStore.create(tmp_path / "20261124-172848-image-processing", config, config.cells(), [])
    assert main(["list", "--output", str(tmp_path)]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["sweep", "runs", "done", "pruned", "unsupported", "failed", "missing"]
    assert line.split() == ["20261124-172848-image-processing", "1", "0", "0", "0", "0", "1"]
    assert max(len(head), len(line)) <= 80


def test_of_many_cells_left_out_a_few_are_named() -> None:
    cells = [TrialConfig(workload="w", device="cpu", batch_size=n) for n in range(1, 101)]
    told = closing._named(cells)
    assert told.startswith("cpu fp32 batch 1; cpu fp32 batch 2; ")
    assert told.endswith("and 88 more, which the next command lists with --dry-run")
    assert closing._named(cells[:2]) == "cpu fp32 batch 1; cpu fp32 batch 2"


def test_what_is_no_number_is_not_said() -> None:
    nan = float("nan")
    row = {"throughput_items_per_s": nan, "accuracy_best": 0.5, "balanced_accuracy_final": nan, "learned": "nothing"}
    assert format_result({**row, "status": "complete"}) == "accuracy 50.0%"


IMPATIENT = """
import os, signal, sys

class Press:
    def find_spec(self, name, *_):
        if name == "tyro":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Press())
import sweeps.run
"""


def test_ctrl_c_before_anything_has_begun_says_nothing() -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", IMPATIENT], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
