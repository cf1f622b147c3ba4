"""The site of docs/: every page is there, and a dead link fails the build."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("material", reason="pip install -e '.[docs]'")
ROOT = Path(__file__).parents[2]


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_the_site_has_every_page_and_no_dead_link(tmp_path: Path) -> None:
    built = build(ROOT, tmp_path / "site")
    assert built.returncode == 0, built.stderr
    site = tmp_path / "site"
    pages = [page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")]
    for page in pages:
        shown = page.with_name("index.html") if page.name == "README.md" else page.with_suffix(".html")
        assert (site / shown).is_file(), page
    assert "How to read the answer" in (site / "index.html").read_text()
    assert (site / "workloads" / "base.py").is_file(), "what a page links to outside docs/"
    assert 'href="glossary.html"' in (site / "index.html").read_text()


def test_a_dead_link_fails_the_build(tmp_path: Path) -> None:
    for folder in ("docs", "scripts"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "scripts/site_pages.py", tmp_path / "scripts")
    (tmp_path / "mkdocs.yml").write_text((ROOT / "mkdocs.yml").read_text().partition("nav:")[0])
    for name in ("README.md", "CHANGELOG.md"):
        (tmp_path / name).write_text("# It\n")
    dead = ("gone.md", "../sweeps/gone.py", "page.md#gone", "folder")
    links = ", ".join(f"[there]({link})" for link in dead)
    (tmp_path / "docs" / "page.md").write_text(f"# Page\n\n[back](../README.md), {links}\n")
    built = build(tmp_path, tmp_path / "site")
    assert built.returncode != 0
    warnings = [line for line in built.stderr.splitlines() if "WARNING -" in line]
    assert len(warnings) == len(dead), built.stderr
    assert all(any(f"'{link}'" in line for line in warnings) for link in dead), warnings
