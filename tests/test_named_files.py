"""What the pages and comments of this repository name exists: a file that moved is renamed wherever it is spoken of."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAMED = re.compile(
    r"(?<![\w/.])(?:sweeps|workloads|analysis|tests|docs|scripts)/[\w./-]*\w\.(?:py|j2|md|png|parquet)\b"
)
ANY = {"tests/benchmarks/NAME.py"}
"""Names that stand for any."""


def speaking() -> list[Path]:
    """Files that a reader follows: prose, settings and source; not what a sweep wrote."""
    told = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    is_made = re.compile(r"docs/reports/.*/(report\w*|compare)\.md")
    paths = [ROOT / name for name in told if name.endswith((".md", ".toml", ".py")) and not is_made.fullmatch(name)]
    return [path for path in paths if path.exists()]


def test_every_file_that_is_named_exists() -> None:
    assert len(speaking()) > 300
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in speaking()
        for name in sorted(set(NAMED.findall(path.read_text(encoding="utf-8"))) - ANY)
        if not (ROOT / name).exists() and not (path.parent / name).exists()
    ]
    assert not missing, "\n".join(missing)
