"""Check each name of torch that our code uses of an Apple GPU against torch's wheels for macOS, read and not run.

    python scripts/macos_names.py                   # the installed version of torch, and the newest
    python scripts/macos_names.py WHEEL [WHEEL...]  # wheels that are here already

The wheels come from the registry that pip is configured for, into a folder that is
deleted again. Names that are used outright must be there, or the exit code is 1; names that a backend is asked for, and
may lack, are told as they are. Of torchvision's wheel the operators are told that have a kernel for MPS.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODULES = ("torch.accelerator", "torch.backends.mps", "torch.mps")
ASKED_OF = re.compile(r"\bbackend(_of\(\w+\))?$")
"""What our code calls the module of a device's backend, in ``getattr(backend, "name")`` and ``backend.name``."""
PLATFORM, PYTHON = "macosx_14_0_arm64", "3.12"


def used_names(sources: Iterable[str]) -> dict[str, set[str]]:
    """Names that sources use outright by module of MODULES, and those that any backend is asked for as ``asked``."""
    found: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                owner = ast.unparse(node.value)
                if owner in MODULES:
                    found[owner].add(node.attr)
                elif ASKED_OF.search(owner):
                    found["asked"].add(node.attr)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                words = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                owner = ast.unparse(node.args[0])
                if node.func.id == "counted":  # of memory_counters.py
                    found["asked"].update(words)
                elif node.func.id in {"getattr", "hasattr"} and (owner in MODULES or ASKED_OF.search(owner)):
                    found[f"{owner}, asked" if owner in MODULES else "asked"].update(words)
    for module in MODULES:  # used outright, but only where it is there
        found[module] -= found.get(f"{module}, asked", set())
    return dict(found)


def public_names(source: str) -> set[str]:
    """Names that a module's source binds at its top: definitions, imports, assignments."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def names_in_wheel(wheel: Path) -> dict[str, set[str]]:
    """Names of each of MODULES that a wheel has, read from its zip."""
    with zipfile.ZipFile(wheel) as archive:
        there = set(archive.namelist())
        files = {m: f"{m.replace('.', '/')}/__init__.py" for m in MODULES}
        return {m: public_names(archive.read(file).decode()) if file in there else set() for m, file in files.items()}


def own_operators(wheel: Path) -> list[str]:
    """Operators of torchvision that its library for macOS has a kernel for MPS of, by the sources it was built from.

    The library names ``ops/mps/NAME_kernel.mm`` of each in the texts of its assertions.
    """
    found: set[str] = set()
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith((".so", ".dylib")):
                found |= set(re.findall(rb"csrc/ops/mps/(\w+)_kernel\.mm", archive.read(name)))
    return sorted(name.decode() for name in found)


def download(requirement: str, into: Path) -> Path:
    """A wheel for macOS, by pip as it is configured.

    Raises:
        RuntimeError: With what pip said, if there is none.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--only-binary=:all:", "--platform", PLATFORM, "--python-version", PYTHON, "--dest", str(into),
               requirement]  # fmt: skip
    # What pip may install here does not bound what may be read.
    environment = {**os.environ, "PIP_CONSTRAINT": os.devnull}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise RuntimeError(f"no wheel of {requirement} for {PLATFORM}; pip says: {said[-1]}")
    return max(into.glob(f"{requirement.split('==', maxsplit=1)[0]}-*.whl"), key=lambda file: file.stat().st_mtime)


def report(wheel: Path, used: Mapping[str, set[str]]) -> tuple[list[str], bool]:
    """What a wheel of torch has of the names that are used, in lines; and whether it has all that must be there."""
    there, lines, is_whole = names_in_wheel(wheel), [wheel.name], True
    for module in MODULES:
        absent = sorted(used.get(module, set()) - there[module])
        is_whole &= not absent
        told = f"lacks {', '.join(absent)}" if absent else "has all"
        lines.append(f"  {module}: {told} of {', '.join(sorted(used.get(module, set()))) or 'nothing'}")
        if asked := used.get(f"{module}, asked"):
            lines.append(f"    asked, and may be lacking: {_split(asked, there[module])}")
    lines.append(
        f"  any backend is asked, and may lack; torch.mps: {_split(used.get('asked', set()), there['torch.mps'])}"
    )
    return lines, is_whole


def _split(asked: set[str], there: set[str]) -> str:
    words = [("has", sorted(asked & there)), ("lacks", sorted(asked - there))]
    return "; ".join(f"{word} {', '.join(names)}" for word, names in words if names) or "nothing"


def main(arguments: Sequence[str]) -> int:
    """Check the wheels named, or those of the installed and the newest torch and torchvision."""
    folders = (ROOT / "sweeps", ROOT / "workloads")
    used = used_names(path.read_text() for folder in folders for path in sorted(folder.rglob("*.py")))
    is_whole = True
    with tempfile.TemporaryDirectory() as scratch:
        wanted = [f"{name}{pin}" for name in ("torch", "torchvision")
                  for pin in (f"=={version(name).split('+')[0]}", "")]  # fmt: skip
        wheels = [Path(a) for a in arguments] or [download(text, Path(scratch)) for text in wanted]
        if not arguments and wheels[0] == wheels[1]:
            sys.stdout.write(f"the newest torch is the installed one, {version('torch')}\n")
        for wheel in dict.fromkeys(wheels):
            if wheel.name.startswith("torchvision"):
                sys.stdout.write(f"{wheel.name}\n  kernels for MPS: {', '.join(own_operators(wheel)) or 'none'}\n")
                continue
            lines, has_all = report(wheel, used)
            is_whole &= has_all
            sys.stdout.write("\n".join(lines) + "\n")
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
