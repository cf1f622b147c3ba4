"""Text from results, in every report: shown literally in Markdown and HTML, never run, obeyed or taken for structure."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from analysis.page.command_line import run_script
from analysis.page.html_page import to_html
from analysis.text import escape, table
from sweeps.store.schema import TRIALS
from tests.analysis.conftest import Write, row

HOSTILE = [
    "<script>window.ran = 1</script>", "<img src=x onerror=alert(1)>", "a|b|c", "`x` **b** _i_ ~~s~~", "](javascript:alert(1))",
    "![i](http://127.0.0.1:9/x.png) [y](http://127.0.0.1:9)", "line\nbreak\r\n# head\n| cell |", "\x1b]0;owned\x07\x1b[31mred",
    "$\\frac{1", "&lt;b&gt; &#60;i", "# head", "- item", "1. one", "---", "===", "\\", "\\|", "\u202eturned", "[/bold] :smile:",
    "x" * 300, "\x00nul", "{{ 7 * 7 }} {% raw %}", "%s %(x)s",
]  # fmt: skip
WHAT_IT_IS = {"trial_key", "options", "status", "sweep_id", "device", "precision", "stability", "leak_verdict", "scenario",
              "task"}  # fmt: skip
"""Columns that reports group by; the hostile rows set some of them by hand, so that there are groups."""
STRINGS = [f.name for f in TRIALS if f.type == pa.string() and f.name not in WHAT_IT_IS]
TOGETHER = [" ".join(HOSTILE[i::3]) for i in range(3)] + [HOSTILE[0]]
"""Few rows, for figures take time; ``escape`` is tried with each text alone."""
REPORTS = ["report", "report_scaling", "report_precision", "report_latency", "report_memory", "report_energy",
           "report_roofline", "report_finetune", "report_pruning"]  # fmt: skip
TAGS = {"div", "table", "thead", "tbody", "tr", "th", "td", "p", "h1", "h2", "h3", "ul", "li", "img", "code", "pre", "strong",
        "em", "a", "svg", "defs", "style", "g", "path", "use", "pattern", "clippath", "rect", "image"}  # fmt: skip
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Tags(HTMLParser):
    """The tags of a page, and where it would load or run anything."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.targets: set[str] = set()
        self.handlers: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        for name, value in attrs:
            self.targets |= {str(value)} if name in {"src", "href", "xlink:href"} else set()
            self.handlers |= {name} if name.startswith("on") else set()


def hostile_rows() -> list[dict[str, Any]]:
    """Two cells for each text, which stands in every column of text; some of them did not work."""
    rows = []
    for i, text in enumerate(TOGETHER):
        for batch in (8, 16):
            status = ("complete", "complete", "oom", "error", "pruned")[(i + batch) % 5]
            values = dict.fromkeys(STRINGS, text)
            rows.append(row(
                2 * i + (batch == 16), batch_size=batch, step_median_s=0.001 * (i + 1), energy_per_item_j=0.5, items_per_j=2.0,
                leak_verdict="leak", leak_device_bytes_per_step=5e5, achieved_flop_per_s=1e9, ceiling_flop_per_s=1e10,
                intensity_flop_per_byte=3.0, achieved_bytes_per_s=1e9, ceiling_bytes_per_s=1e10, accuracy_best=0.9,
                time_to_target_s=3.0, target_accuracy=0.8, copy_in_s=0.01, compute_s=0.02, copy_out_s=0.01,
                device="cpu" if i % 3 else f"gpu {text}", **{**values, "status": status},
            ))  # fmt: skip
    return rows


def check_markdown(text: str) -> None:
    assert not CONTROL.search(text)
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        assert token.type not in {"html_block", "hr", "ordered_list_open", "fence"}, token.content
        assert token.type != "heading_open" or token.level == 0, "a heading inside of a list"
        for child in token.children or []:
            assert child.type != "html_inline" or re.fullmatch(r'<a id="cell-[\w-]+">|</a>', child.content), (
                token.content
            )
            if child.type in {"image", "link_open"}:
                target = str(child.attrs.get("src") or child.attrs.get("href"))
                assert target.startswith(("figures/", "#cell-")) or target.endswith(".md"), token.content
    width = 0
    for line in text.split("\n"):
        cells = len(re.findall(r"(?<!\\)\|", line.replace("\\\\", ""))) if line.startswith("|") else 0
        assert not width or not cells or cells == width, line
        width = cells


@pytest.mark.endless_names
def test_every_report_shows_hostile_text_and_takes_none_of_it_for_structure(write_sweep: Write) -> None:
    rows = hostile_rows()
    rounds = [{"trial_key": r["trial_key"], "round": i, "elapsed_s": i + 1.0, "accuracy": 0.4 * i, "throughput_items_per_s": 5.0}
              for r in rows[:8] for i in range(3)]  # fmt: skip
    folder = write_sweep(rows, rounds=rounds)
    for name in REPORTS:
        assert run_script(name.removeprefix("report_"), [str(folder), "--html"]) == 0
        check_markdown((folder / f"{name}.md").read_text())
        page = (folder / f"{name}.html").read_text()
        tags = Tags(page.split("<main>")[1].split("</main>")[0])
        assert tags.names <= TAGS, name
        assert not tags.handlers
        assert all(re.match(r"data:image/|#[\w.-]+$", target) or target.endswith(".md") for target in tags.targets)
        assert "window.ran = 1" not in re.sub(r"&lt;script&gt;window\.ran = 1&lt;/script&gt;", "", page)
    assert r"{{ 7 \* 7 }} {% raw %}" in (folder / "report.md").read_text()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(text=st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=()), max_size=30),
                      st.text("<>|`*_[]()!#&;\\~$-+=1.\n\x1b :/ax", max_size=20)))  # fmt: skip
def test_any_text_is_one_piece_of_plain_text_wherever_it_stands(text: str) -> None:
    shown = escape(text)
    for page in (shown, f"- {shown}", f"x {shown} y", table(["a", "b"], [[shown, "1"], ["2", shown]])):
        check_markdown(page)
        page.encode()
    flat = re.sub(r"\s+", " ", text).strip()
    if flat.isprintable() and not re.search("[\ue000-\uf8ff]", flat):
        tokens = MarkdownIt("commonmark", {"html": False}).enable("table").parse(f"x {shown} y")
        assert "".join(c.content for c in tokens[1].children or []) == (f"x {flat} y" if flat else "x  y")
        assert Tags(to_html(f"x {shown} y", Path())).names.isdisjoint({"img", "b", "i", "strong", "em", "code"})


@pytest.mark.parametrize("text", ["a & b", "1.5", "-3", "+5 %", "R&D", "#1", "x-y"])
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert escape(text) == text
