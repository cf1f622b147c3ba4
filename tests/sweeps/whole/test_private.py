"""Results can be shown to anyone: one real sweep by a user with a name, a home and secrets, whose files are searched."""

from __future__ import annotations

import io
import json
import os
import pickletools
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from rich.console import Console

from analysis.recommendation.page import write_report
from sweeps.cell.outcome import outcome_of
from sweeps.measure.device.environment import environment
from sweeps.plan.config import TrialConfig
from sweeps.session.terminal import Terminal, say
from sweeps.text import one_line, portable_path, printable, usable_path, without_home, without_paths
from tests.sweeps.conftest import ROOT
from tests.sweeps.installed import install
from tests.sweeps.whole.driving import shadow

USER = "zanzibar7"
SECRETS = {"GITHUB_TOKEN": "ghp_s3cr3tA", "AWS_SECRET_ACCESS_KEY": "s3cr3tB", "HF_TOKEN": "hf_s3cr3tC", "RAY_AUTH_TOKEN": "s3cr3tD"}  # fmt: skip
RUDE = "\x1b]0;owned\x07 [/bold] <script>1</script> | `x`\nsecond line \udcff"
WORKLOAD = f"""
import os
from dataclasses import dataclass
from pathlib import Path
from workloads.base import Defaults, SetupFacts
from workloads.runtime.late import late

torch = late("torch")

@dataclass(frozen=True, kw_only=True)
class RudeOptions:
    kind: tuple[str, ...] = ("raises", "fine", "nonsense")  # the first comes last: it ends its worker
    images: Path | None = None

class Rude:
    '''Say what nobody should.'''
    name, item, Options = "rude", "images", RudeOptions
    defaults = Defaults(batch_size=(1,), precision=("fp32",))
    steps_per_round = None

    def __init__(self, context):
        self.context, self.items_per_step = context, context.batch_size

    @classmethod
    def check(cls, options, models): ...

    def setup(self):
        from workloads.images import load_photographs

        found = load_photographs(self.context.options.images)
        self.kind = self.context.options.kind[0]
        return SetupFacts(input_shape="x", input_source=found.source, weights={RUDE!r}, n_images_skipped=found.n_skipped)

    def step(self):
        if self.kind == "raises":
            raise RuntimeError(f"{{os.environ['HOME']}} and {{os.environ['HOME']}}/my data/x.jpg of /home/somebody:" + {RUDE!r})
        torch.ones(64, 64) @ torch.ones(64, 64)

    def end_round(self, index): return {{}}
    def is_done(self): return False
    def quality(self): return {{"top1_agreement_ratio": "all", "host": 5}} if self.kind == "nonsense" else {{}}
    def teardown(self): ...
"""


@dataclass(frozen=True, kw_only=True)
class Swept:
    home: Path
    folder: Path
    output: str


def swept_by_a_user_with_secrets(folder: Path) -> Swept:
    home = folder / USER
    install(home / "site", "rude:Rude", WORKLOAD)
    shadow(home)
    (home / "my photos").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(home / "my photos" / "a.png")
    (home / "my photos" / "b.jpg").write_text("none")
    ended = subprocess.run(
        [sys.executable, str(ROOT / "sweeps" / "run.py"), "rude", "--images", "my photos", "--device", "cpu", "--min-s", "0.1",
         "--min-rounds", "2", "--max-s", "0.2", "--pruner", "median", "--no-report", "--no-recheck", f"--output={home}/results"],
        cwd=home, capture_output=True, check=False, timeout=240,
        env={**os.environ, **SECRETS, "HOME": str(home), "USER": USER, "LOGNAME": USER,
             "PYTHONPATH": os.pathsep.join(["", str(ROOT), str(home / "site")])},  # as `export X=$X:...` leaves it
    )  # fmt: skip
    output = (ended.stdout + ended.stderr).decode()
    assert ended.returncode == 1, output
    (folder,) = (home / "results").iterdir()
    write_report(folder, html=True)
    return Swept(home=home, folder=folder, output=output)


def texts(file: Path) -> Iterator[str]:
    """All that a file holds, as text: the values of tables, and its bytes."""
    yield file.name
    yield file.read_bytes().decode("latin-1")
    if file.suffix == ".parquet":
        table = pq.read_table(file)
        yield json.dumps(table.to_pylist(), default=str)
        yield str(table.schema)
    if file.suffix == ".db":
        for _, value in cells(file):
            yield str(value)


def cells(database: Path) -> Iterator[tuple[str, Any]]:
    """Every value of every table of an SQLite file."""
    with sqlite3.connect(database) as connection:
        for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
            for row in connection.execute(f'select * from "{table}"'):
                yield from ((table, value) for value in row)


def is_pickle(content: bytes) -> bool:
    """Whether bytes are a program for Python's pickle machine that calls or imports, or begin as protocols 2 to 5 do."""
    if len(content) > 2 and content[0] == 0x80 and content[1] in range(2, 6):
        return True
    try:
        names = {opcode.name for opcode, *_ in pickletools.genops(content)}
    except Exception:  # what is no pickle ends in a dozen ways
        return False
    return bool(names & {"GLOBAL", "STACK_GLOBAL", "REDUCE", "INST", "OBJ", "NEWOBJ", "BUILD"})


def no_file_of_a_sweep_tells_the_user_the_home_the_host_or_a_secret(swept: Swept) -> None:
    files = [file for file in swept.folder.rglob("*") if file.is_file()]
    assert {file.suffix for file in files} >= {".parquet", ".json", ".db", ".md", ".html"}
    host = socket.gethostname()
    for word in (USER, str(swept.home), *SECRETS.values(), *([host] if len(host) > 5 else [])):
        found = [file.name for file in files if any(word in text for text in texts(file))]
        assert not found, word


def no_module_in_the_users_folder_ran_in_any_process(swept: Swept) -> None:
    assert not (swept.home / "ran").exists(), (swept.home / "ran").read_text()


def the_command_and_the_input_are_told_in_a_way_that_works_again(swept: Swept) -> None:
    described = json.loads((swept.folder / "sweep.json").read_text())
    assert described["command"][:4] == ["accelsweep", "rude", "--images", "my photos"]
    assert "--output=~/results" in described["command"]
    assert described["config"]["option_constants"]["images"] == "~/my photos"
    rows = pd.read_parquet(swept.folder / "trials").set_index(["batch_size", "status"])
    assert json.loads(rows["options"].iloc[0])["images"] == "~/my photos"
    fine = rows.loc[(1, "complete")]
    assert fine["input_source"] == "folder my photos"
    assert fine["n_images_skipped"] == 1


def errors_keep_what_helps_without_where_the_user_lives(swept: Swept) -> None:
    rows = pd.read_parquet(swept.folder / "trials")
    raised = rows[rows["error_type"] == "RuntimeError"]
    assert len(raised) == 1
    message = raised["error_message"].iloc[0]
    assert message.startswith("~ and ~/my data/x.jpg of ~:")
    assert message.endswith(r"second line \udcff")
    assert "rude.py:" in raised["error_frames"].iloc[0]
    nonsense = rows[rows["status_reason"] == "wrong columns"]
    assert nonsense["throughput_items_per_s"].gt(0).all()
    assert nonsense["error_message"].str.contains("top1_agreement_ratio").all()
    assert len(nonsense) == 1


def nothing_in_results_is_a_pickle(swept: Swept) -> None:
    assert is_pickle(b"\x80\x04N.")
    assert is_pickle(b"cos\nsystem\n(S'x'\ntR.")
    for file in swept.folder.rglob("*"):
        assert not file.is_file() or not is_pickle(file.read_bytes()), file.name
    values = [(table, value) for table, value in cells(swept.folder / "study.db") if isinstance(value, (bytes, str))]
    assert any(table == "trial_user_attributes" for table, _ in values)
    for table, value in values:
        content = value if isinstance(value, bytes) else value.encode()
        assert not is_pickle(content), (table, value)
        assert not isinstance(value, bytes), "optuna stores JSON and numbers"


def the_terminal_shows_what_a_workload_says_and_obeys_none_of_it(swept: Swept) -> None:
    assert "\x1b" not in swept.output
    assert "\x07" not in swept.output
    assert r"\x1b]0;owned\x07 [/bold]" in swept.output
    assert all(len(line) < 400 for line in swept.output.splitlines())


def the_reports_show_it_and_run_none_of_it(swept: Swept) -> None:
    page, markdown = (swept.folder / "report.html").read_text(), (swept.folder / "report.md").read_text()
    for text in (page, markdown):
        assert "<script>1" not in text
        assert "\x1b" not in text
        assert "owned" in text


@pytest.mark.slow
def test_a_sweep_by_a_user_with_secrets_can_be_shown_to_anyone(tmp_path: Path) -> None:
    swept = swept_by_a_user_with_secrets(tmp_path)
    no_module_in_the_users_folder_ran_in_any_process(swept)
    no_file_of_a_sweep_tells_the_user_the_home_the_host_or_a_secret(swept)
    the_command_and_the_input_are_told_in_a_way_that_works_again(swept)
    errors_keep_what_helps_without_where_the_user_lives(swept)
    nothing_in_results_is_a_pickle(swept)
    the_terminal_shows_what_a_workload_says_and_obeys_none_of_it(swept)
    the_reports_show_it_and_run_none_of_it(swept)


def test_the_live_table_takes_no_orders_from_rows() -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=80, legacy_windows=False)
    cell = TrialConfig(workload="w", device="cpu", batch_size=1, model=f"m[/x] :smile: {RUDE}")
    row = {"status": "error", "status_reason": RUDE, "wall_s": 1.0}
    with Terminal(2, 0, console) as terminal:
        terminal.cell_started(cell)
        terminal.cell_progressed(cell, row)
        terminal.cell_ended(cell, row)
        terminal.cell_started(cell)
        terminal.cell_ended(cell, {"status": "complete", "throughput_items_per_s": 5.0, "item": RUDE})
        console.print(terminal._render())
    shown = written.getvalue()
    assert "\x1b]0;" not in shown
    assert "\x07" not in shown
    assert "[/bold]" in shown
    assert ":smile:" in shown


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "utf-8"])
def test_lines_that_a_terminal_cannot_encode_are_shown_as_escapes(encoding: str) -> None:
    buffer = io.BytesIO()
    console = Console(file=io.TextIOWrapper(buffer, encoding=encoding), width=80)
    say(console, "caf\u00e9 \u4e16\n\udcff [b] :smile: \x1b[2J")
    console.file.flush()
    shown = buffer.getvalue().decode(encoding)
    assert r"\udcff [b] :smile: \x1b[2J" in shown
    assert shown.startswith(
        {"utf-8": "caf\u00e9 \u4e16\n", "ascii": "caf\\xe9 \\u4e16\n"}.get(encoding, "caf\u00e9 \\u4e16\n")
    )


def test_an_environment_row_holds_no_name_no_home_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SECRETS, "HOME": f"/home/{USER}", "USER": USER}.items():
        monkeypatch.setenv(name, value)
    told = json.dumps(environment(torch.device("cpu")), default=str)
    for word in (USER, os.path.expanduser("~"), f'"{socket.gethostname()}"', *SECRETS.values()):
        assert word not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/home/zanzibar7", "~"), ("/home/zanzibar7/a b/c.jpg", "~/a b/c.jpg"), ("x=/home/zanzibar7/c", "x=~/c"),
        ("/home/zanzibar70/c", "/home/zanzibar70/c"), ("/mnt/home/zanzibar7/c", "/mnt/home/zanzibar7/c"), ("", ""),
    ],
)  # fmt: skip
def test_the_home_folder_is_found_in_text(text: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", f"/home/{USER}")
    assert without_home(text) == told


@pytest.mark.parametrize(
    "text", ["/home/bob", "'/home/bob/x.py'", "/Users/bob/a b", r"C:\Users\bob\x.py", "/scratch/bob/run/x.py", "/home/zanzibar7/x",
             "/home/zanzibar7/venv/lib/python3.12/site-packages/torch/nn.py", "(/home/bob)"],
)  # fmt: skip
def test_no_text_of_an_error_tells_a_user(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", f"/home/{USER}")
    for told in (without_paths(text), outcome_of(RuntimeError(f"cannot open {text}: no")).error_message or ""):
        assert "bob" not in told
        assert USER not in told


def test_paths_are_kept_so_that_they_work_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert portable_path(Path("a/../b")) == "~/b"
    assert portable_path(tmp_path) == "~"
    assert portable_path(Path("/etc")) == "/etc"
    assert usable_path(Path(portable_path(Path("b")))) == tmp_path / "b"
    monkeypatch.setenv("HOME", "/")
    assert portable_path(Path("/etc")) == "/etc"
    assert without_home("/etc/x") == "/etc/x"


def test_a_line_is_never_longer_than_people_read() -> None:
    assert len(one_line("x" * 10_000)) < 600
    assert printable("a\u202eb\r\n\t\u2028") == r"a\u202eb\r\n\t\u2028"
