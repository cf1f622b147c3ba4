"""Sweeps of the faulty workload in processes of their own, what becomes of their rows, and who is left of them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweeps.commands import main
from tests.sweeps.conftest import ROOT
from tests.sweeps.installed import install
from tests.sweeps.whole.driving import n_rows

QUICK = ("--min-s", "0.05", "--max-s", "0.1", "--min-rounds", "2", "--no-report", "--no-recheck")
_MARK = "ACCELSWEEP_TEST"


def install_faulty(site: Path) -> Path:
    """Put the faulty workload into a folder as a package that is installed."""
    return install(site, "faulty:Faulty", (Path(__file__).parent / "faulty.py").read_text())


def in_own_mounts(*commands: str) -> list[str]:
    """A prefix that runs a command with mounts that nobody else sees."""
    return ["unshare", "--mount", "sh", "-c", " && ".join([*commands, 'exec "$@"']), "sh"]


class Faulted:
    """One sweep of the faulty workload, started, hurt and resumed as often as needed.

    Args:
        folder: Where it works; results go to ``out`` in it.
        arguments: The grid, without ``--output``.
        output: Folder of results.
    """

    def __init__(self, folder: Path, *arguments: str, output: Path | None = None, **environment: str) -> None:
        self.folder, self.output = folder, output or folder / "out"
        on_cpu = () if "--device" in arguments else ("--device", "cpu")
        self._arguments, self._said = (*arguments, *on_cpu), folder / "said.txt"
        self._mark = uuid.uuid4().hex
        site = folder / "site"
        if not site.exists():
            install_faulty(site)
        path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.environment = {**os.environ, "PYTHONPATH": path, _MARK: self._mark, **environment}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def sweep(self) -> Path:
        """Its folder of results."""
        (sweep,) = [p for p in self.output.iterdir() if (p / "sweep.json").exists()]
        return sweep

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(ROOT / "sweeps" / "run.py"), "faulty", *arguments, "--output", str(self.output)]

    def _next(self) -> list[str]:
        """What starts it, or goes on with it if it has a folder."""
        exists = self.output.is_dir() and any(self.output.glob("*/sweep.json"))
        return ["--resume", self.sweep.name, "--no-report"] if exists else [*QUICK, *self._arguments]

    def start(self, *, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start it, or go on with it."""
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [*prefix, *self.command(*self._next())], cwd=self.folder, stdout=said, stderr=subprocess.STDOUT,
                env=self.environment, start_new_session=True,
            )  # fmt: skip
        return self.process

    @property
    def said(self) -> str:
        """What the last start printed."""
        return self._said.read_text(errors="replace")

    def wait(self, timeout_s: float = 270) -> int:
        """The exit code."""
        assert self.process is not None
        return self.process.wait(timeout_s)

    def run(self) -> int:
        """Start or go on, and wait for the end; the exit code."""
        self.start()
        return self.wait()

    def take_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have this process know the workload too."""
        monkeypatch.syspath_prepend(self.folder / "site")
        monkeypatch.delitem(sys.modules, "faulty", raising=False)

    def run_here(self) -> int:
        """Start or go on in this process, on a shared Ray or by whatever loop ``put_loop`` has put; the exit code."""
        return main(["faulty", *self._next(), "--output", str(self.output)])

    def rows(self) -> pd.DataFrame:
        """The rows on disk, with ``fault`` and ``cell``; asserts that no cell has two."""
        files = sorted((self.sweep / "trials").glob("[!._]*.parquet"))
        tables = [pq.read_table(f, partitioning=None) for f in files]
        rows = pa.concat_tables(tables, promote_options="default").to_pandas() if files else pd.DataFrame()
        if len(rows):
            assert rows["trial_key"].is_unique, "a row is doubled"
            options = rows["options"].map(pd.io.json.ujson_loads)
            rows = rows.assign(fault=options.map(lambda o: o["fault"]), cell=options.map(lambda o: o["cell"]))
        return rows

    def n_rows(self) -> int:
        """Rows on disk, without reading them all."""
        return n_rows(self.output)

    def wait_for_rows(self, n: int, timeout_s: float = 180) -> None:
        """Until so many rows are there."""
        assert self.process is not None
        deadline = time.monotonic() + timeout_s
        while self.n_rows() < n:
            assert time.monotonic() < deadline, self.said
            assert self.process.poll() is None, self.said
            time.sleep(0.05)

    def processes(self) -> list[psutil.Process]:
        """Every process of the sweep that runs, on whatever way it came from the driver."""
        return list(_marked(self._mark))

    def victim(self, what: str) -> psutil.Process:
        """The driver, the worker that measures, or the raylet."""
        assert self.process is not None
        if what == "driver":
            return psutil.Process(self.process.pid)
        fits: Callable[[psutil.Process], Any] = (
            (lambda p: p.name() == "raylet")
            if what == "raylet"
            else (lambda p: "ray::CellActor" in " ".join(p.cmdline()))
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for process in self.processes():
                try:
                    if fits(process):
                        return process
                except psutil.Error:
                    continue
            assert self.process.poll() is None, self.said
            time.sleep(0.05)
        raise AssertionError(f"no {what}: {self.said}")

    def kill(self, what: str, moment: random.Random, *, within_s: float = 1.0) -> None:
        """``kill -9`` at a random moment."""
        time.sleep(moment.uniform(0, within_s))
        self.victim(what).send_signal(signal.SIGKILL)

    def orphans(self, within_s: float = 15) -> list[str]:
        """Who is left some seconds after the end."""
        deadline = time.monotonic() + within_s
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return [f"{p.pid} {' '.join(p.cmdline())}" for p in left if p.is_running()]


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (psutil.Error, OSError):
            continue
