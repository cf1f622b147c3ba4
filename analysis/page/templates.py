"""Pages from Jinja templates; each extends ``page/_page.md.j2``."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import jinja2

from analysis.text import escape

_ANCHOR = re.compile(r'<a id="(cell-[0-9A-Za-z-]+)"></a>')
_LINK = re.compile(r"\[((?:[^\[\]\\]++|\\.)*+)\]\(#(cell-[0-9A-Za-z-]+)\)")  # nothing is tried twice: texts are long
_ROOT = Path(__file__).resolve().parent.parent


def render(template: str, *, counts: str = "", **values: Any) -> str:
    """Fill a page's template, named by its path in ``analysis``, with all that it names; nothing is escaped here.

    Every page names ``title``, ``answer`` and ``caveats`` (sentences), the table ``environment`` and ``counts``, how
    many cells ended in which way, which is empty on pages that tell it elsewhere.
    """
    text = _templates().get_template(template).render(counts=counts, **values)
    return re.sub(r"\n{3,}", "\n\n", _linked(text)).strip() + "\n"


@functools.cache
def _templates() -> jinja2.Environment:
    """Each template is compiled when it is first asked for, and no more."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ROOT), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined, autoescape=False,
    )  # fmt: skip
    templates.filters["escape"] = escape
    return templates


def _linked(text: str) -> str:
    """A page on which each cell's anchor stands once, and links to cells that no table of it has are plain text."""
    seen: set[str] = set()

    def once(found: re.Match[str]) -> str:
        is_new = found[1] not in seen
        seen.add(found[1])
        return found[0] if is_new else ""

    text = _ANCHOR.sub(once, text)
    return _LINK.sub(lambda found: found[0] if found[2] in seen else found[1], text)
