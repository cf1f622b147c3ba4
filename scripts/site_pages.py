"""A hook of MkDocs: the site's pages that lie outside ``docs/``, and links between them and those inside.

README.md is the first page. What a page links to elsewhere in the repository becomes part of the site, under its own
path. A link to nothing is left as it is, and ``mkdocs build --strict`` fails on it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")
HOME = {"README.md": "index.md"}


def _source(file: File) -> Path:
    """Where a file of the site lies in the repository."""
    return Path(file.abs_src_path).resolve()


def _place(path: Path) -> str:
    """Where a file of the repository lies in the site."""
    name = path.relative_to(ROOT).as_posix()
    return HOME.get(name, name.removeprefix("docs/"))


def _linked(page: Path, target: str) -> Path | None:
    """The file of the repository that a page links to; None of what is none."""
    path = (page.parent / target).resolve()
    return path if path.is_file() and path.is_relative_to(ROOT) else None


def on_files(files: Files, config: Any) -> Files:
    """Add the first page and whatever is linked from there, from docs/, and from what was added."""
    sources = [_source(file) for file in files.documentation_pages()] + [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    for source in sources:  # which grows
        if files.get_file_from_path(_place(source)) is None:
            files.append(File.generated(config, _place(source), abs_src_path=str(source)))
        if source.suffix == ".md":
            found = (_linked(source, target) for target in LINK.findall(source.read_text(encoding="utf-8")))
            sources += [path for path in found if path is not None and path not in sources]
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Let links lead to where the site has what they name."""
    source, folder = _source(page.file), posixpath.dirname(page.file.src_uri)

    def moved(found: re.Match[str]) -> str:
        path = _linked(source, found[1])
        return found[1] if path is None else posixpath.relpath(_place(path), folder or ".")

    return LINK.sub(moved, markdown)
