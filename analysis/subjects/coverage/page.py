"""What works on a device and what does not."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.page.command_line import OneLineParser, default_output, write_page, writing
from analysis.page.environment import environment_table, of_devices
from analysis.page.templates import render
from analysis.subjects.coverage import changes, tables
from analysis.subjects.coverage.answer import answer
from analysis.subjects.coverage.load import DIRECTIONS, find_coverage, is_predicted, load_coverage
from analysis.text import escape

NAME = "report_coverage"
PREDICTED = (
    "Every line is predicted from torch's list of kernels; nothing was run on the device. The list does not say"
    " which types a kernel accepts, which operations a composite calls, or whether a kernel is right."
)


def build(frame: pd.DataFrame, other: pd.DataFrame | None = None) -> str:
    """The report's Markdown, against an earlier result where there is one."""
    devices = sorted(frame["device"].unique())
    versions = ", ".join(sorted(frame["torch_version"].dropna().unique()))
    return render(
        "subjects/coverage/page.md.j2",
        title=f"What {'is predicted to work' if is_predicted(frame) else 'works'} on"
        f" {', '.join(escape(d) for d in devices)} with torch {escape(versions)}",
        answer=answer(frame),
        caveats=[PREDICTED] if is_predicted(frame) else [],
        wholes=tables.wholes(frame),
        changes=None if other is None else changes.compare(frame, other),
        against="" if other is None else escape(Path(other.attrs["path"]).name),
        outcomes=tables.counts(frame),
        matrices=[
            (device, direction, tables.matrix(frame[frame["device"] == device], direction))
            for device in devices
            for direction in DIRECTIONS
            if ((frame["device"] == device) & (frame["direction"] == direction)).any()
        ],
        lists=[
            ("What falls back to the CPU", tables.failures(frame, ["fallback"])),
            ("What crashes or hangs", tables.failures(frame, ["crashed", "timeout"])),
            ("What is wrong", tables.wrong(frame, "wrong values")),
            ("What is unsupported", tables.failures(frame, ["unsupported"])),
            *([("What cannot be predicted", tables.failures(frame, ["unknown"]))] if is_predicted(frame) else []),
            ("What is off by rounding", tables.wrong(frame, "wrong by rounding")),
        ],
        overtaking=tables.overtaking(frame),
        slower=tables.slower(frame),
        environment=environment_table(of_devices(frame)),
        command=shlex.join(frame.attrs["description"].get("command", [])),
    )


def write_coverage_report(
    path: str | Path, output: Path | None = None, *, against: str | Path | None = None, html: bool = False
) -> Path:
    """Write the report of a coverage sweep, by default beside the results, against an earlier result where named.

    Returns:
        The Markdown file; the one self-contained HTML file where asked for.

    Raises:
        AnalysisError: If there is no coverage sweep, or the page cannot be written.
    """
    sweep = find_coverage(path)
    other = None if against is None else load_coverage(against)
    target = output or default_output([sweep], NAME)
    with writing(target):
        return write_page(target, build(load_coverage(sweep), other), html=html)


def main(arguments: Sequence[str]) -> int:
    parser = OneLineParser(description="Write the Markdown report of a coverage sweep.")
    parser.add_argument("results", nargs="?", default="results",
                        help="a coverage sweep's folder, a results folder (its latest), or a Parquet file")  # fmt: skip
    parser.add_argument("--against", help="an earlier result: report what is newly supported, broken, faster, slower")
    parser.add_argument("--output", type=Path, help=f"the Markdown file (default: {NAME}.md beside the results)")
    parser.add_argument("--html", action="store_true", help="also write one self-contained HTML file")
    options = parser.parse_args(arguments)
    written = write_coverage_report(options.results, options.output, against=options.against, html=options.html)
    sys.stdout.write(f"{written}\n")
    return 0
