"""What works on a device and what does not."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.page.command_line import OneLineParser, write_page
from analysis.page.templates import render
from analysis.subjects.coverage import changes, tables
from analysis.subjects.coverage.answer import summary
from analysis.subjects.coverage.load import DIRECTIONS, find_coverage, load_coverage
from analysis.text import escape

NAME = "report_coverage"


def compare(frame: pd.DataFrame, other: pd.DataFrame) -> dict[str, Any]:
    """The section that tells two results apart."""
    both = changes.matched(frame, other)
    supported, broken, timed = changes.newly_supported(both), changes.newly_broken(both), changes.speeds(both)
    versions = [", ".join(sorted(f["torch_version"].dropna().unique())) or "unknown" for f in (other, frame)]
    n_new, n_gone = len(frame) - len(both), len(other) - len(both)
    told = (
        f"torch {escape(versions[0])} before, {escape(versions[1])} now. {len(both):,} rows are in both, {n_new:,} only"
        f" in this result and {n_gone:,} only in the other. {len(timed):,} were timed in both; a change under"
        f" {changes.FASTER:g} times is noise."
    )
    return {
        "told": told,
        "tables": [
            (f"Newly supported: {len(supported)}", changes.changed_table(supported)),
            (f"Newly broken: {len(broken)}", changes.changed_table(broken)),
            (f"Faster: {int((timed['gain'] > changes.FASTER).sum())}", changes.speed_table(timed, faster=True)),
            (f"Slower: {int((timed['gain'] < 1 / changes.FASTER).sum())}", changes.speed_table(timed, faster=False)),
        ],
    }


def build(frame: pd.DataFrame, other: pd.DataFrame | None = None) -> str:
    """The report's Markdown.

    Args:
        frame: Of ``load_coverage``.
        other: An earlier result to compare with.
    """
    devices = sorted(frame["device"].unique())
    versions = ", ".join(sorted(frame["torch_version"].dropna().unique()))
    return render(
        "subjects/coverage/page.md.j2",
        title=f"What works on {', '.join(escape(d) for d in devices)} with torch {escape(versions)}",
        summary=summary(frame),
        changes=None if other is None else compare(frame, other),
        against="" if other is None else escape(Path(other.attrs["path"]).name),
        counts=tables.counts(frame),
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
            ("What is off by rounding", tables.wrong(frame, "wrong by rounding")),
        ],
        overtaking=tables.overtaking(frame),
        slower=tables.slower(frame),
        environment=tables.environment(frame),
        command=shlex.join(frame.attrs["description"].get("command", [])),
    )


def write_coverage_report(
    path: str | Path, output: Path | None = None, *, against: str | Path | None = None, html: bool = False
) -> Path:
    """Write the report of a coverage sweep.

    Args:
        path: A sweep's folder, a results folder (its latest coverage sweep), or a Parquet file.
        output: The Markdown file; by default beside the results.
        against: An earlier result.
        html: Write one self-contained HTML file too, and return that.

    Raises:
        AnalysisError: If there is no coverage sweep, or the page cannot be written.
    """
    sweep = find_coverage(path)
    other = None if against is None else load_coverage(against)
    target = output or (sweep if sweep.is_dir() else sweep.parent) / f"{NAME}.md"
    return write_page(target, build(load_coverage(sweep), other), html=html)


def main(arguments: Sequence[str]) -> int:
    parser = OneLineParser(description="Write the Markdown report of a coverage sweep.")
    parser.add_argument("results", nargs="?", default="results",
                        help="a coverage sweep's folder, a results folder (its latest), or a Parquet file")  # fmt: skip
    parser.add_argument("--against", help="an earlier result: tell what is newly supported, broken, faster, slower")
    parser.add_argument("--output", type=Path, help=f"the Markdown file (default: {NAME}.md beside the results)")
    parser.add_argument("--html", action="store_true", help="also write one self-contained HTML file")
    options = parser.parse_args(arguments)
    written = write_coverage_report(options.results, options.output, against=options.against, html=options.html)
    sys.stdout.write(f"{written}\n")
    return 0
