"""The states a sweep's folder can be in, and what every report on one subject must make of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.page.command_line import run_main
from sweeps.store.schema import TRIALS
from tests.analysis.conftest import Write, row
from tests.analysis.made_up import failed, machine, server

Main = Callable[[Sequence[str]], int]
OLD_COLUMNS = ("schema_version", "sweep_id", "trial_key", "trial_index", "status", "workload", "device", "model",
               "batch_size", "precision", "item", "items_per_step", "throughput_items_per_s", "step_median_s", "host")  # fmt: skip


def full() -> list[dict[str, Any]]:
    """Cells that fill every section of every report, with text that must be escaped."""
    rows = [
        *machine(),
        *(server(60 + i, rate, p99) for i, (rate, p99) in enumerate(((5, 0.02), (10, 0.04), (20, 0.2)))),
    ]
    return [r | {"model": "a|b <i>$x$ *y*"} for r in rows]


def mixed() -> list[dict[str, Any]]:
    """The same cells by two hosts in one sweep."""
    other = [r | {"host": "h2", "trial_index": r["trial_index"] + 100, "node": "n2"} for r in machine()]
    return [r | {"node": "n1"} for r in machine()] + other


STATES: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "empty": list,
    "one cell": lambda: [row()],
    "all failed": lambda: [failed(0, 64, "fp32"), failed(1, 64, "bf16", status="crashed")],
    "mixed machines": mixed,
}


def page_of(main: Main, folders: Sequence[Path], output: Path, *more: str) -> str:
    """The Markdown that a script's main writes about the folders; its figures exist and have alternative texts."""
    assert main([*map(str, folders), "--output", str(output), *more]) == 0
    text = output.read_text()
    for told, path in re.findall(r"!\[([^\n]*)\]\(([^)]+)\)", text):
        assert told.strip()
        assert (output.parent / path).stat().st_size > 5000, path
    return text


def check_sensible(text: str) -> None:
    """A page with a heading and an answer, without Python's words for nothing, every table a whole one."""
    lines = text.splitlines()
    assert lines[0].startswith("# ")
    assert lines[2].startswith("- ") or lines[2][:1].isupper(), "answers, or what a table of them says"
    words = re.sub(r"n/a|NaN or infinity", "", text)
    assert not re.search(r"\b(nan|None,|NaN|<NA>|NaT|inf)\b", words), re.search(
        r".*\b(nan|NaN|<NA>|NaT|inf)\b.*", words
    )
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.sub(r"\\\|", "", line).split("|")) for line in block.splitlines()}
        assert len(widths) == 1, block
        assert re.fullmatch(r"\|( :?-+:? \|)+", block.splitlines()[1]), block


def check_escaped(text: str) -> None:
    assert "<i>" not in text
    assert "<b>" not in text
    assert r"a\|b &lt;i&gt;\$x\$ \*y\*" in text


def old_sweep(folder: Path, columns: Sequence[str] = OLD_COLUMNS) -> Path:
    """A sweep of an older schema, that had a few of the columns only."""
    (folder / "trials").mkdir(parents=True)
    rows = [{c: r.get(c) for c in columns} for r in machine()]
    schema = pa.schema([TRIALS.field(c) for c in columns])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "trials" / "part-0.parquet")
    (folder / "sweep.json").write_text('{"schema_version": 1, "sweep_id": "old", "created_at": "2025"}')
    return folder


def check_same_bytes(main: Main, folder: Path, tmp_path: Path) -> set[str]:
    """The same results give the same pages and figures, whatever was drawn before in the process; the files' names.

    Each page is one that :func:`check_html` takes, and left in the folders ``one`` and ``two``.
    """
    made = []
    for name in ("one", "two"):
        check_html(main, folder, tmp_path / name)
        made.append({p.name: p.read_bytes() for p in sorted((tmp_path / name).rglob("*")) if p.is_file()})
    assert made[0] == made[1]
    assert set(made[0]) > {"page.md", "page.html"}, "both pages and a figure"
    return set(made[0])


def check_html(main: Main, folder: Path, tmp_path: Path) -> None:
    """One file that holds its figures and reaches for nothing outside."""
    check_sensible(page_of(main, [folder], tmp_path / "page.md", "--html"))
    page = (tmp_path / "page.html").read_text()
    assert page.count("<script>") == 1, "only our own"
    assert '<svg role="img" aria-label="' in page
    assert 'aria-label=""' not in page
    assert not re.search(r'(src|href)="(https?:)?//', page)


def check_truncated(main: Main, write_sweep: Write, tmp_path: Path) -> None:
    """A truncated part is named, skipped and counted; the rest is told."""
    folder = write_sweep([failed(0, 64, "fp32"), row(1)])
    whole = (folder / "trials" / "part-0.parquet").read_bytes()
    (folder / "trials" / "part-1.parquet").write_bytes(whole[: len(whole) // 2])
    text = page_of(main, [folder], tmp_path / "page.md")
    assert "part-1.parquet" in text
    check_sensible(text)


def check_errors(main: Main, folder: Path, tmp_path: Path, capsys: Any) -> None:
    """Without results, or a place to write to, a script says so in one line and exits with 2."""
    (tmp_path / "none").mkdir()
    (tmp_path / "file").write_text("")
    for arguments, told in (
        ([tmp_path / "none"], "contains no sweep"),
        ([folder, "--output", tmp_path / "file" / "page.md"], "cannot write"),
    ):
        capsys.readouterr()
        assert run_main(main, [str(a) for a in arguments]) == 2
        said = capsys.readouterr()
        assert said.err.count("\n") == 1
        assert told in said.err
        assert said.out == ""
