"""Pages from Jinja templates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2

from analysis.text import escape

_ROOT = Path(__file__).resolve().parent.parent


def render(template: str, **values: Any) -> str:
    """Fill a template, named by its path in ``analysis``; Markdown, so nothing is escaped here (``escape`` does it)."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ROOT), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined, autoescape=False,
    )  # fmt: skip
    environment.filters["escape"] = escape
    text = environment.get_template(template).render(**values)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
