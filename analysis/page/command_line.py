"""The main of every report."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from analysis.cells.pooling import with_runs_pooled
from analysis.contract.streams import outlive_readers
from analysis.page.html_page import write_html
from analysis.read.sweep import AnalysisError
from analysis.read.sweeps import Page, find_sweeps, load_sweeps
from analysis.text import shortened, visible

SUBJECTS = ("scaling", "precision", "latency", "memory", "energy", "roofline", "finetune", "pruning", "coverage",
            "history", "distributions")  # fmt: skip
_PAGES = {
    "report": "analysis.recommendation.page", "compare": "analysis.comparison.page",
    **{subject: f"analysis.subjects.{subject}.page" for subject in SUBJECTS},
}  # fmt: skip
"""The module of each page, imported late: it stands above this one, and a page costs only what it needs."""


def run_main(main: Callable[[Sequence[str]], int], arguments: Sequence[str] | None = None) -> int:
    """Run a page's main: an AnalysisError is one line on standard error and exit code 2."""
    try:
        return main(sys.argv[1:] if arguments is None else arguments)
    except AnalysisError as error:
        sys.stderr.write(f"{Path(sys.argv[0]).name}: error: {error}\n")
        return 2


def run_script(name: str, arguments: Sequence[str] | None = None) -> int:
    """Write a page from the command line, as ``run_main`` does; returns the exit code."""
    outlive_readers()
    return run_main(importlib.import_module(_PAGES[name]).main, arguments)


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong with the command line in one line, as every command here; ``--help`` has the rest."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {shortened(visible(' '.join(message.split())), 500)}\n")


def parser(description: str) -> argparse.ArgumentParser:
    """The command line that every report script has."""
    made = OneLineParser(description=description)
    made.add_argument("results", nargs="*", default=["results"], metavar="RESULTS",
                      help="sweeps, or results folders (their latest sweep); default: results")  # fmt: skip
    made.add_argument("--output", type=Path, help="the Markdown file (default: in the sweep's folder)")
    made.add_argument("--html", action="store_true", help="also write one self-contained HTML file")
    return made


def default_output(sweeps: Sequence[Path], name: str) -> Path:
    """``NAME.md`` in the sweep's folder; of several sweeps in the folder that holds the first."""
    first = sweeps[0] if sweeps[0].is_dir() else sweeps[0].parent
    return (first if len(sweeps) == 1 else first.parent) / f"{name}.md"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What is done here writes a page and its figures; AnalysisError where one cannot be written.

    Results that cannot be read are counted, not raised.
    """
    from analysis.figures.meanings import one_page  # and matplotlib with it, which reading a command line does without

    try:
        with one_page():
            yield
    except OSError as error:
        raise AnalysisError(f"cannot write {str(error.filename or path)!r}: {error.strerror or error}") from error


def write_json(path: Path, told: Mapping[str, Any]) -> None:
    """Write what a page says for programs, as JSON, which has no NaN."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


def page_of(sweeps: Sequence[Path], columns: Sequence[str], target: Path) -> Page:
    """What a page is made from: the cells of the sweeps with the runs of each as one, and where the figures go."""
    return Page(trials=with_runs_pooled(load_sweeps(sweeps, columns)), sweeps=sweeps, figures=target.parent / "figures")


def write_page(path: Path, text: str, *, html: bool) -> Path:
    """Write the Markdown, and the HTML page where asked; returns what a reader should open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return write_html(path) if html else path


def report_main(
    subject: str, build: Callable[[Page], str], columns: Sequence[str], description: str
) -> Callable[[Sequence[str]], int]:  # fmt: skip
    """The whole main of ``report_SUBJECT.md``: read, let ``build`` make Markdown and figures, write, print the name.

    It raises AnalysisError if there is no sweep, or if the page or a figure cannot be written. ``columns`` are those of
    the trials table that ``build`` reads.
    """

    def main(arguments: Sequence[str]) -> int:
        options: Any = parser(description).parse_args(arguments)
        sweeps = find_sweeps(options.results)
        target = options.output or default_output(sweeps, f"report_{subject}")
        page = page_of(sweeps, columns, target)
        with writing(target):
            sys.stdout.write(f"{write_page(target, build(page), html=options.html)}\n")
        return 0

    return main
