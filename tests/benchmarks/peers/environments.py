"""A virtual environment for each peer, laid over the packages of the interpreter that runs the benchmark.

Laid over, so that every tool runs the very same PyTorch: the peer's own packages come first, then this interpreter's.
Our own environment never sees a peer's package.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGES: dict[str, tuple[str, ...]] = {
    "optimum-benchmark": ("optimum-benchmark==0.6.0", "transformers==5.17.*", "accelerate==1.15.*"),
    "pytorch-benchmark": ("pytorch-benchmark==0.3.6", "setuptools"),
    "kornia": ("kornia==0.9.0",),
    "torch.utils.benchmark": (),
    "timm's loop": (),
}
"""pytorch-benchmark needs setuptools for GPUtil, which imports distutils; Python 3.12 no longer brings that."""


def _packages_here() -> list[str]:
    """Folders of packages of this interpreter, without this repository."""
    given = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    standard = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    found = [p for p in sys.path if p in given or Path(p).name in {"site-packages", "dist-packages"}]
    return [p for p in dict.fromkeys(found) if p not in standard and Path(p).is_dir() and Path(p).resolve() != ROOT]


def peer_python(name: str, folder: Path, wheels: Path | None) -> Path:
    """The interpreter of a peer's environment, made on first use.

    Args:
        name: A key of ``PACKAGES``.
        folder: Where environments are kept.
        wheels: What ``collect_wheels.sh`` filled, to install from without a registry; None to ask the registry.

    Raises:
        RuntimeError: With what pip said.
    """
    home = folder / "".join(c if c.isalnum() else "-" for c in name)
    python = home / "bin" / "python"
    ready = home / "ready"
    if ready.is_file():
        return python
    venv.create(home, clear=True, with_pip=False, symlinks=True)
    site = next((home / "lib").glob("python*")) / "site-packages"
    (site / "below.pth").write_text("\n".join(_packages_here()) + "\n")
    if PACKAGES[name]:
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile"]
        if wheels is not None:
            files = sorted(str(p) for p in (wheels / name).glob("*.whl"))
            if not files:
                raise RuntimeError(f"no wheels in {wheels / name}")
            pip += ["--no-index", "--no-deps", *files]
        else:
            pip += list(PACKAGES[name])
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(pip, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise RuntimeError(" ".join(done.stderr.split())[-300:])
    ready.touch()
    return python
