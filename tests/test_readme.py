"""What README shows is what the project does."""

from __future__ import annotations

from pathlib import Path

from sweeps.schema import TABLES, markdown_table

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_columns_in_the_readme_are_those_of_the_schema() -> None:
    shown = README.split("<!-- columns: accelsweep schema -->\n")[1].split("\n<!-- end of columns -->")[0]
    made = "\n".join(f"**{name}**\n\n{markdown_table(schema)}" for name, schema in TABLES.items())
    assert shown.strip() == made.strip(), "paste what `accelsweep schema` prints"


def test_the_workload_in_the_readme_is_the_one_that_is_tested() -> None:
    assert (ROOT / "docs/examples/sort_pixels/sort_pixels.py").read_text().strip() in README


def test_every_linked_file_is_there() -> None:
    import re

    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
