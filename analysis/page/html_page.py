"""One self-contained HTML file from a report's Markdown: figures inside, light and dark, sorted and filtered tables."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

ANCHOR = re.compile(r'(<a id="cell-[0-9A-Za-z-]+"></a>)')
_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
_PARTS = Path(__file__).with_name("html")
_SCROLL = '<div class="scroll" tabindex="0" role="region" aria-label="table">'


def _embed_images(tokens: list[Token], folder: Path, parser: MarkdownIt) -> None:
    """Put each figure into the page: one that was drawn for it as SVG, another file's bytes, else its text."""
    from analysis.figures.vector import inline_svg  # and matplotlib with it, which reading a command line does without

    for token in tokens:
        for child in token.children or []:
            if child.type != "image":
                continue
            file = folder / str(child.attrs.get("src", ""))
            told = RendererHTML().renderInlineAsText(child.children or [], parser.options, {})
            if svg := inline_svg(file, told):
                child.type, child.tag, child.children, child.content = "html_inline", "", None, svg
            elif file.suffix in _TYPES and file.is_file():
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
    _embed_images(tokens, folder, parser)
    _open_anchors(tokens)
    body = parser.renderer.render(tokens, parser.options, {})
    heading = re.search(r"<h1>(.*?)</h1>", body, re.DOTALL)
    title = re.sub(r"<[^>]+>", "", heading[1]) if heading else "accelsweep"
    # What the browser may do: run our script and show what is inside the page; nothing from elsewhere.
    style, script = ((_PARTS / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def write_html(report: Path) -> Path:
    """Write the page beside a Markdown report and return its path."""
    page = report.with_suffix(".html")
    page.write_text(to_html(report.read_text(encoding="utf-8"), report.parent), encoding="utf-8")
    return page
