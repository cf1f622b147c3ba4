"""Figures as SVG inside an HTML page, in the page's own colours: they follow it into dark mode."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path

from matplotlib import style

from analysis.figures.meanings import meanings
from analysis.figures.style import STYLE

_COLOUR = re.compile(r"(fill|stroke): #([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})\b")
_SAYING = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL)


def inline_svg(path: Path, told: str) -> str | None:
    """The figure of this page that was saved as ``path`` as an ``<svg>`` with an alternative text; None of another.

    White and black become the page's ``--paper`` and ``--ink``, greys lie between them, and each colour keeps its hue
    and has ``--lift`` of white mixed into it. Nothing of what the figure's texts say is in it but their outlines.
    """
    drawn = meanings().drawn.get(path.resolve())
    if drawn is None:
        return None
    content = io.StringIO()
    with style.context(["default", STYLE]):
        drawn.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    svg = re.sub(r"\n\s*", "\n", _SAYING.sub("", content.getvalue().partition("<svg")[2]))
    # Several figures share a page, where names that nothing refers to would be there twice. Those that are left are
    # digests of what they name, so that of equal ones either will do.
    used = set(re.findall(r"#([\w.-]+)", svg))
    svg = _COLOUR.sub(_of_page, re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg))
    return f'<svg role="img" aria-label="{html.escape(told)}"{svg}'


def _of_page(found: re.Match[str]) -> str:
    """A colour in CSS, by the variables of the page."""
    what, *parts = found.groups()
    if len(set(parts)) > 1:
        return f"{what}: color-mix(in srgb, white var(--lift), #{''.join(parts)})"
    return f"{what}: color-mix(in srgb, var(--ink) {100 - 100 * int(parts[0], 16) / 255:.0f}%, var(--paper))"
