"""What the terminal shows of a running sweep: a live table, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import psutil
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from analysis.contract.cells import known
from analysis.contract.choice import best, task_of
from analysis.contract.runs import ACCURACY_SD, N_RUNS, SPEED_SD
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.plan.runs import first_run, without_run
from sweeps.text import figure, printable
from workloads.runtime.words import in_short

REFRESH_PER_S = 2
"""Each refresh costs CPU time on the machine that is being measured."""
N_RECENT = 8
MAX_REASON = 160
"""Characters of why a cell has no figure; the report has all of it."""


def say(console: Console, text: str = "") -> None:
    """Print lines as they are: no markup, no emoji, nothing that a terminal would act on or cannot encode."""
    shown = "\n".join(printable(line) for line in text.split("\n"))
    encoded = shown.encode(console.encoding, "backslashreplace").decode(console.encoding)
    console.print(encoded, highlight=False, markup=False, emoji=False)


def _cell(text: str) -> Text:
    """Text of a row for the live table, which would read markup in a string."""
    return Text(printable(text), overflow="fold")


def since_start_s() -> float:
    """Seconds since this process began."""
    return time.time() - float(psutil.Process().create_time())


def format_duration(seconds: float) -> str:
    """Seconds as people say them: ``8 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def format_result(row: Mapping[str, Any]) -> str:
    """What a row found, in a few words; of several runs with the standard deviation between them."""
    rate = known(row.get("throughput_items_per_s"))
    found = (known(row.get(name)) for name in ("accuracy_best", "accuracy_final"))  # best: none of one answer alone
    accuracy = next((value for value in found if value is not None), None)
    of_rate, of_accuracy = known(row.get(SPEED_SD)), known(row.get(ACCURACY_SD))
    runs = "" if of_rate is None else f" ({row[N_RUNS]} runs, sd {of_rate:.1%})"
    parts = [] if rate is None else [f"{figure(rate)} {row.get('item') or 'items'}/s{runs}"]
    if accuracy is not None:
        balanced = known(row.get("balanced_accuracy_final")) if row.get("learned") else None
        more = [("sd", of_accuracy), ("balanced", balanced)]
        told = ", ".join(f"{word} {value:.1%}" for word, value in more if value is not None)
        parts.append(f"accuracy {accuracy:.1%}" + (f" ({told})" if told else ""))
    if row.get("status") not in {None, "complete"}:
        parts.append(in_short(str(row.get("status_reason") or row.get("error_message") or ""), MAX_REASON))
    return ", ".join(p for p in parts if p)


class SweepConsole(Console):
    """A console that never ends a sweep: where its reader has gone (``| head``, a closed terminal), it is silent."""

    def on_broken_pipe(self) -> None:
        self.quiet = True

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does; what cannot be written any more is left out."""
        try:
            super().print(*objects, **options)
        except OSError:
            self.quiet = True


class Terminal:
    """Follows a sweep's cells, of which a resumed one has ``n_done`` already; use as a context manager around it.

    A console that is no terminal gets one plain line per event.
    """

    def __init__(
        self, n_cells: int | None, n_done: int = 0, console: Console | None = None, config: SweepConfig | None = None
    ) -> None:
        self._console = console or Console(soft_wrap=True)
        self._n_cells, self._n_done, self._config = n_cells, n_done, config
        self._rechecked: set[str] = set()
        self._began = time.monotonic()
        self._n_new = self._n_unsupported = 0
        self._last_end = self._began
        self._running: dict[str, tuple[TrialConfig, float, str]] = {}
        self._recent: list[tuple[str, str, str]] = []
        self._best: dict[tuple[object, ...], tuple[Mapping[str, Any], str]] = {}
        columns = TextColumn("cells"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[eta]}")
        self._progress = Progress(*columns, console=self._console)
        self._task = self._progress.add_task("", total=n_cells, completed=n_done, eta="")
        self._live: Live | None = None
        self._awaited = "starting Ray"

    def __enter__(self) -> Terminal:
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                get_renderable=self._render, console=self._console, refresh_per_second=REFRESH_PER_S, transient=True
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def eta_s(self) -> float | None:
        """Seconds until the last cell by the mean of this run's cells; None before the first has ended.

        Unsupported cells, which end at once, are left out of the mean: those that follow may all be measured.
        """
        if not self._n_new or self._n_cells is None:
            return None
        left = self._n_cells - self._n_done - self._n_new
        mean_s = (self._last_end - self._began) / (self._n_new - self._n_unsupported or self._n_new)
        return max(0.0, left * mean_s - (time.monotonic() - self._last_end))

    def awaits(self, what: str) -> None:
        """Say what is being waited for before the first cell, and how long it has been since the command was given."""
        self._awaited = what
        if self._live is None:
            say(self._console, f"{since_start_s():.1f} s: {what} ...")

    def cell_started(self, cell: TrialConfig) -> None:
        if not self._running and not self._n_new:
            self._began = time.monotonic()  # what Ray took to start is spent once, and says nothing of the cells
            self.awaits(f"opening {cell.device} and loading a model and its input for the first cell")
        if cell.repeat > 1 and self._n_runs == 1 and cell.key not in self._rechecked:
            self._rechecked.add(cell.key)
            self._grow(1)
            say(self._console, f"measuring {without_run(cell).label} again in a fresh process, to see how much this"
                " machine varies by itself (--no-recheck skips this)")  # fmt: skip
        self._running[cell.key] = (cell, time.monotonic(), "starting")

    @property
    def _n_runs(self) -> int:
        return 1 if self._config is None else self._config.n_runs

    def _grow(self, n: int) -> None:
        """More or fewer runs than were known of are to come."""
        if self._n_cells is not None:
            self._n_cells += n
            self._progress.update(self._task, total=self._n_cells)

    def cell_progressed(self, cell: TrialConfig, row: Mapping[str, Any]) -> None:
        started = self._running.get(cell.key, (cell, time.monotonic(), ""))[1]
        self._running[cell.key] = (cell, started, format_result(row) or "warming up")

    def cell_ended(self, cell: TrialConfig, row: Mapping[str, Any]) -> None:
        self._running.pop(cell.key, None)
        self._n_new += 1
        self._n_unsupported += row["status"] == "unsupported"
        self._last_end = time.monotonic()
        status, result = str(row["status"]), format_result(row)
        if status != "complete" and self._config is not None and cell == first_run(cell, self._config):
            self._grow(1 - self._n_runs)  # what was not measured to its end is not measured again
        self._recent = [*self._recent, (cell.label, status, result)][-N_RECENT:]
        if row.get("constraints_held") is not False:
            where = (cell.device, *task_of(row))
            before, _ = self._best.get(where, ({}, ""))
            if best([before, row]) is row:
                self._best[where] = row, f"best on {without_run(cell).label}: {result}"
        self._progress.update(self._task, completed=self._n_done + self._n_new)
        if self._live is None:
            total = "?" if self._n_cells is None else self._n_cells
            took = format_duration(row.get("wall_s") or 0)
            end = f"; {self._eta_text}" if self._eta_text else ""
            say(self._console, f"[{self._n_done + self._n_new}/{total}] {cell.label}: {status}  {result} ({took}{end})")

    @property
    def _eta_text(self) -> str:
        eta = self.eta_s
        return "" if eta is None or self._n_cells == self._n_done + self._n_new else f"ETA {format_duration(eta)}"

    def _render(self) -> Group:
        self._progress.update(self._task, eta=self._eta_text)
        if not self._running and not self._n_new:
            return Group(self._progress, Text(f"{self._awaited} ({format_duration(since_start_s())})"))
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("cell", "status", "result"):
            table.add_column(name, overflow="fold")
        for label, status, result in self._recent:
            table.add_row(_cell(label), status, _cell(result), style=None if status == "complete" else "yellow")
        now = time.monotonic()
        for cell, started, estimate in self._running.values():
            running = f"running {format_duration(now - started)}"
            table.add_row(_cell(cell.label), running, _cell(estimate), style="cyan")
        return Group(self._progress, table, *(_cell(text) for _, text in list(self._best.values())[-N_RECENT:]))
