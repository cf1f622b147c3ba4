"""One self-contained HTML file from a report's Markdown: figures inside, light and dark, tables that sort."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
_STYLE = """
:root { color-scheme: light dark; --line: #d0d0d0; --soft: #f4f4f4; --warm: #b35900; }
@media (prefers-color-scheme: dark) { :root { --line: #444; --soft: #222; --warm: #ffb366; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; font-size: .875rem; display: block; overflow-x: auto; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th { background: var(--soft); cursor: pointer; } th:focus-visible { outline: 2px solid var(--warm); }
th[aria-sort=ascending]::after { content: " \\2191"; } th[aria-sort=descending]::after { content: " \\2193"; }
img { max-width: 100%; background: #fff; border-radius: 4px; }
pre { background: var(--soft); padding: .6rem; overflow-x: auto; }
"""
_SCRIPT = """
const value = text => { const t = text.replace(/,/g, ""), n = parseFloat(t); return isNaN(n) ? t : n; };
for (const head of document.querySelectorAll("th")) {
  head.tabIndex = 0;
  const sort = () => {
    const table = head.closest("table"), body = table.tBodies[0], column = head.cellIndex;
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows];
    rows.sort((a, b) => {
      const x = value(a.cells[column].textContent), y = value(b.cells[column].textContent);
      const order = typeof x === typeof y ? (x < y ? -1 : x > y ? 1 : 0) : typeof x === "number" ? -1 : 1;
      return up ? order : -order;
    });
    body.append(...rows);
  };
  head.addEventListener("click", sort);
  head.addEventListener("keydown", event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); } });
}
"""  # noqa: E501 (a line of JavaScript)


def _embed_images(tokens: list[Token], folder: Path) -> None:
    for token in tokens:
        for child in token.children or []:
            source = str(child.attrs.get("src", ""))
            file = folder / source
            if child.type == "image" and file.suffix in _TYPES and file.is_file():
                content = base64.b64encode(file.read_bytes()).decode()
                child.attrs["src"] = f"data:{_TYPES[file.suffix]};base64,{content}"


def to_html(markdown: str, folder: Path) -> str:
    """A whole HTML page; raw HTML in the Markdown stays text, so that nothing from results can run.

    Args:
        markdown: The report.
        folder: Where its figures' paths begin.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    # The page must hold its figures as data, which the parser's own check of links takes for an attack.
    parser.validateLink = lambda url: not re.match(r"\s*(javascript|vbscript|file|data):", url, re.IGNORECASE)  # type: ignore[method-assign]
    tokens = parser.parse(markdown)
    _embed_images(tokens, folder)
    body = parser.renderer.render(tokens, parser.options, {})
    heading = re.search(r"<h1>(.*?)</h1>", body, re.DOTALL)
    title = re.sub(r"<[^>]+>", "", heading[1]) if heading else "accelsweep"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}<script>{_SCRIPT}</script>\n"
        "</body>\n</html>\n"
    )


def write_html(report: Path) -> Path:
    """Write the page beside a Markdown report and return its path."""
    page = report.with_suffix(".html")
    page.write_text(to_html(report.read_text(encoding="utf-8"), report.parent), encoding="utf-8")
    return page
