"""The measurement is usable from a notebook: its documented example runs, and every name is there when asked for."""

from __future__ import annotations

import ast
import doctest
import re
import sys
from pathlib import Path

import pytest

import sweeps.measure as measure

SOURCE = Path(measure.__file__)
ROOT = SOURCE.parent.parent.parent


def test_the_documented_example_runs_and_says_what_it_says() -> None:
    example = doctest.DocTestParser().get_doctest(measure.__doc__ or "", {}, "sweeps.measure", str(SOURCE), 0)
    assert len(example.examples) > 15
    found: list[str] = []
    results = doctest.DocTestRunner(verbose=False).run(example, out=found.append)
    assert results.failed == 0, "".join(found)


def test_every_public_name_is_where_it_is_said_to_be_and_defined_there() -> None:
    assert dir(measure) == measure.__all__ == sorted(set(measure.__all__)), "none is named twice"
    for name, module in measure._HOME.items():
        value = getattr(measure, name)
        assert value is vars(sys.modules[f"sweeps.measure.{module}"])[name]
        assert value.__module__ == f"sweeps.measure.{module}", "no module hands on another's name"
        assert value.__doc__, name


def test_no_module_hands_on_anothers_names() -> None:
    """A name is imported from the module that defines it, so that it has one home."""
    handed_on = []
    for path in [p for folder in ("sweeps", "tests") for p in (ROOT / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sweeps.measure."):
                home = ROOT.joinpath(*node.module.split(".")).with_suffix(".py")  # type: ignore[union-attr]
                text = home.read_text() if home.exists() else ""  # of a folder its modules are imported
                imported = "|".join(re.findall(r"^ *(?:from|import) .*?(?:\(.*?\)|$)", text, re.MULTILINE | re.DOTALL))
                handed_on += [f"{path}: {n.name}" for n in node.names if re.search(rf"\b{n.name}\b", imported)]
    assert not handed_on


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = measure.nothing
    with pytest.raises(ImportError):
        from sweeps.measure import nothing  # noqa: F401
