"""What people read is plain technical English: phrases that were mended once stay away."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PHRASES = (
    r"\bknown of\b", r"memory anew", r"taken? anew", r"looked on\b", r"ended out of memory", r"to tell of", r"\btold of\b",
    r"not told apart", r"\bis told\b", r"\balike on\b", r"\bdo(?:es)? \S+ times the work", r"times the work of",
    r"could be had", r"none of the sweep's", r"\bholds? (?:the|its|every) (?:limits?|deadline)", r"\bheld the limit",
    r"all there is", r"; nearest is", r"won back", r"more than guessing gets", r"as a flag asked", r"near it:",
    r"is no (?:folder|duration|JSON|Parquet|sweep)", r"\bgo on with:", r"within \S+ ms within", r"kept, above",
    r"^#+ (?:Again|What measured)$", r"by itself is not known", r"tells nothing of", r"\bgiven up\b", r"\bGive up\b",
)  # fmt: skip
FORBIDDEN = re.compile("|".join(PHRASES), re.MULTILINE)
PAGES = [
    *(p for p in (ROOT / "analysis").rglob("*.j2")),
    *(p for p in (ROOT / "docs").rglob("*.md") if p.name == "README.md" or "reports" not in p.parts),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
]
"""Templates and hand-written pages; those made from results follow from the code."""
CODE = [p for package in ("analysis", "sweeps", "workloads") for p in (ROOT / package).rglob("*.py")]


def printed(path: Path) -> Iterator[str]:
    """The text that a module may print: its literals, and of its docstrings those that ``--help`` shows."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)} if "option" not in path.name else set()
    parts = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in n.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in own | parts:
            yield node.value


def found_in(texts: Iterator[str] | list[str]) -> list[str]:
    """The phrases of texts, over the ends of lines."""
    return [m[0] for text in texts for m in FORBIDDEN.finditer(re.sub(r"(?<=[\w,]) *\n *(?=[a-z])", " ", text))]


@pytest.mark.parametrize("text", [
    "energy is known of 4 of 8 cells", "takes its memory anew", "No pruner looked on", "None ended out of memory",
    "no accuracy to tell of", "does 0.00087 times the work", "not told apart from 1 other", "one of 2 alike on cpu",
    "# T\n\n## Again\n", "within 200 ms within 200 ms a step", "no accuracy\nto tell of",
])  # fmt: skip
def test_each_phrase_is_found(text: str) -> None:
    assert found_in([text])


def test_nothing_printed_has_a_phrase_that_was_mended() -> None:
    found = {str(p.relative_to(ROOT)): found_in(printed(p)) for p in CODE}
    found |= {str(p.relative_to(ROOT)): found_in([p.read_text(encoding="utf-8")]) for p in PAGES}
    assert {name: phrases for name, phrases in found.items() if phrases} == {}
