"""One self-contained HTML file from a report's Markdown: figures inside, light and dark, tables that sort."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ANCHOR = re.compile(r'(<a id="cell-[0-9A-Za-z-]+"></a>)')
_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --line: #d0d0d0; --soft: #f4f4f4; --mark: #0b57a4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #161616; --line: #444; --soft: #242424; --mark: #7fb8f0; }
}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
  color: var(--ink); background: var(--paper); }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th { background: var(--soft); }
th button { all: unset; cursor: pointer; }
th button:focus-visible, .scroll:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
td[style*=right] { white-space: nowrap; }
img { max-width: min(100%, 48rem); background: #fff; border-radius: 4px; }
pre { background: var(--soft); padding: .6rem; overflow-x: auto; }
@media print { body { max-width: none; } .scroll { overflow: visible; } }
"""
# A column of numbers is one that is set right. What is not known sorts last both ways, whatever stands for it.
_SCRIPT = """
const number = text => {
  const found = text.trim().replace(/^(over|under|about) /, "").replaceAll("\\u2212", "-").replaceAll(",", "")
    .match(/^[-+]?\\d+(\\.\\d+)?(e[-+]?\\d+)?/i);
  return found ? Number(found[0]) : null;
};
const word = text => text.trim() || null;
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.querySelectorAll("thead th")], body = table.tBodies[0];
  if (!body || body.rows.length < 2 || !heads[0].textContent.trim()) continue;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const texts = [...body.rows].map(row => row.cells[column].textContent);
      const isNumber = head.style.textAlign === "right" && texts.some(text => number(text) !== null);
      const read = isNumber ? number : word;
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].map((row, i) => ({ row, key: read(texts[i]) }));
      rows.sort((a, b) => {
        if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
        const order = isNumber ? a.key - b.key : a.key.localeCompare(b.key, "en", { numeric: true });
        return up ? order : -order;
      });
      body.append(...rows.map(({ row }) => row));
    });
  });
}
"""
_SCROLL = '<div class="scroll" tabindex="0" role="region" aria-label="table">'


def _embed_images(tokens: list[Token], folder: Path) -> None:
    """Put each figure's bytes into the page; an image that is no file of ours becomes its text."""
    for token in tokens:
        for child in token.children or []:
            if child.type != "image":
                continue
            file = folder / str(child.attrs.get("src", ""))
            if file.suffix in _TYPES and file.is_file():
                content = base64.b64encode(file.read_bytes()).decode()
                child.attrs["src"] = f"data:{_TYPES[file.suffix]};base64,{content}"
            else:
                child.type, child.tag, child.children = "text", "", None


def _open_anchors(tokens: list[Token]) -> None:
    """Let the anchors of cells, which our templates write, be anchors; any other markup stays text."""
    for token in tokens:
        made: list[Token] = []
        for child in token.children or []:
            parts = ANCHOR.split(child.content) if child.type == "text" else [child.content]
            if len(parts) == 1:
                made.append(child)
                continue
            for i, part in enumerate(parts):
                made.append(Token("html_inline" if i % 2 else "text", "", 0, content=part))
        if token.children:
            token.children = made


def to_html(markdown: str, folder: Path) -> str:
    """A whole HTML page, with the figures from ``folder``.

    Raw HTML in the Markdown stays text, so that nothing from results can run.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    # The page must hold its figures as data, which the parser's own check of links takes for an attack.
    parser.validateLink = lambda url: not re.match(r"\s*(javascript|vbscript|file|data):", url, re.IGNORECASE)  # type: ignore[method-assign]
    parser.add_render_rule("table_open", lambda *_: f"{_SCROLL}<table>\n")
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    tokens = parser.parse(markdown)
    _embed_images(tokens, folder)
    _open_anchors(tokens)
    body = parser.renderer.render(tokens, parser.options, {})
    heading = re.search(r"<h1>(.*?)</h1>", body, re.DOTALL)
    title = re.sub(r"<[^>]+>", "", heading[1]) if heading else "accelsweep"
    # What the browser may do: run our script and show what is inside the page; nothing from elsewhere.
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n"
        f"<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def write_html(report: Path) -> Path:
    """Write the page beside a Markdown report and return its path."""
    page = report.with_suffix(".html")
    page.write_text(to_html(report.read_text(encoding="utf-8"), report.parent), encoding="utf-8")
    return page
