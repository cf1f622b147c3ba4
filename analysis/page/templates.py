"""Pages from Jinja templates; each extends ``page/_page.md.j2``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from analysis.text import escape

_ROOT = Path(__file__).resolve().parent.parent


def render(
    template: str, *, title: str, answer: Sequence[str], caveats: Sequence[str], environment: str, counts: str = "",
    **values: Any,
) -> str:  # fmt: skip
    """Fill a page's template; Markdown, so nothing is escaped here (``escape`` does it).

    Args:
        template: Its path in ``analysis``.
        title: Of the page.
        answer: Sentences that it begins with.
        caveats: What a reader must know before believing it.
        environment: The table of what measured.
        counts: How many cells ended in which way, for pages that tell it nowhere else.
        values: Whatever else the template names.
    """
    values |= {"title": title, "answer": answer, "caveats": caveats, "environment": environment, "counts": counts}
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ROOT), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined, autoescape=False,
    )  # fmt: skip
    templates.filters["escape"] = escape
    text = templates.get_template(template).render(**values)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
