"""The user's own code as text: a file, what it imports of the modules beside it, and what git says of them.

Found without running any of it, so that it can travel to every node of a cluster, and be told from what it becomes when
it is edited. Free of torch.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.machinery
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workloads.base import BadInputError

_NAME = re.compile(r"(?P<where>.+\.py|[A-Za-z_][\w.]*):(?P<attribute>[A-Za-z_][\w.]*)")
_SITES = ("site-packages", "dist-packages")
_OURS = frozenset({"sweeps", "workloads", "analysis", "torch", "torchvision", "numpy", "ray", *sys.stdlib_module_names})
"""What files beside the user's are not to stand in for."""
MAX_BYTES = 8 * 2**20
"""Of all files: more than that is no code."""
DIGITS = 16


@dataclass(frozen=True, kw_only=True)
class Code:
    """A function or class of the user's that makes a network, with the modules that it needs.

    Attributes:
        name: What the network is called in tables, such as ``net.py:build``.
        module: The module to import.
        attribute: The function or class in it, dotted where it lies in a class.
        root: The folder that modules are found from, ``~`` for the home folder.
        files: Text by path below the root, with ``/``.
        is_installed: It is a package's module, which every node has by itself.
        commit: Of git, with ``+`` where a file is changed or not in git; None outside of a repository.
        folder: Where the user was, for which names of files in the code are meant; ``~`` for the home folder.
    """

    name: str
    module: str
    attribute: str
    root: str
    files: Mapping[str, str] = field(default_factory=dict)
    is_installed: bool = False
    commit: str | None = None
    folder: str = ""

    @property
    def digest(self) -> str:
        """What tells this code from other code, whatever folder it lies in."""
        made = hashlib.sha256(f"{self.module}:{self.attribute}".encode())
        for path, text in sorted(self.files.items()):
            made.update(f"\0{path}\0{text}".encode())
        return made.hexdigest()[:DIGITS]


def is_own(name: str) -> bool:
    """Whether a model is the user's code: ``path/to/net.py:build`` or ``package.module:build``."""
    return _NAME.fullmatch(name) is not None


def collect(name: str, shown: str | None = None) -> Code:
    """The code that a model's name means, as it stands on this machine.

    Args:
        name: As for ``is_own``.
        shown: What the network is to be called; by default as ``short_name``.

    Raises:
        BadInputError: If there is no such file or module, or it is no Python.
    """
    found = _NAME.fullmatch(name)
    assert found is not None
    where, attribute = found["where"], found["attribute"]
    file, module, root = _of_file(name, where) if where.endswith(".py") else _of_module(name, where)
    is_installed = any(part in _SITES for part in root.parts)
    files = dict(_with_neighbours(name, file, root, follow=not is_installed))
    return Code(
        name=shown or short_name(name), module=module, attribute=attribute, root=_portable(root), files=files,
        is_installed=is_installed, commit=None if is_installed else _commit(root, list(files)),
        folder=_portable(Path.cwd()),
    )  # fmt: skip


def short_name(name: str) -> str:
    """What a network is called in tables: of a path that leads elsewhere the file alone, as others see it."""
    where, _, attribute = name.rpartition(":")
    path = os.path.normpath(os.path.expanduser(where))
    is_below = where.endswith(".py") and not os.path.isabs(path) and not path.startswith("..")
    return f"{Path(path).as_posix() if is_below else os.path.basename(path)}:{attribute}"


def _portable(root: Path) -> str:
    """An absolute path, with ``~`` for the home folder."""
    home = Path(os.path.expanduser("~"))
    return f"~/{root.relative_to(home).as_posix()}" if home != Path("/") and root.is_relative_to(home) else str(root)


def _of_file(name: str, where: str) -> tuple[Path, str, Path]:
    """File, name of the module and the folder that it is found from, of a path."""
    file = Path(os.path.abspath(os.path.expanduser(where)))
    if not file.is_file():
        raise BadInputError(f"--model: {name!r}: {where!r} is not a file")
    root, parts = file.parent, [file.stem]
    n_above = _n_above(file)
    while (len(parts) <= n_above or (root / "__init__.py").exists()) and root.name.isidentifier():
        parts.insert(0, root.name)
        root = root.parent
    if len(parts) == 1:  # of whatever name: nothing else imports it by that, nor is it to stand in for others
        return file, "accelsweep_model_" + re.sub(r"\W", "_", file.stem), root
    return file, ".".join(parts if parts[-1] != "__init__" else parts[:-1]), root


def _n_above(file: Path) -> int:
    """How many folders up a file's relative imports lead, each of them a package with or without an ``__init__.py``."""
    with contextlib.suppress(OSError, ValueError, SyntaxError):
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8-sig")))
        return max((node.level for node in nodes if isinstance(node, ast.ImportFrom)), default=0)
    return 0


def _of_module(name: str, where: str) -> tuple[Path, str, Path]:
    """The same of a module's name. Nothing is imported to find it."""
    places: list[str] | None = [*sys.path, os.getcwd()]
    spec = None
    for part in where.split("."):
        spec = importlib.machinery.PathFinder.find_spec(part, places)
        if spec is None:
            raise BadInputError(f"--model: {name!r}: there is no module {where!r}")
        places = list(spec.submodule_search_locations or ())
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise BadInputError(f"--model: {name!r}: the module {where!r} is no Python file")
    file = Path(os.path.abspath(spec.origin))
    levels = where.count(".") + (file.name == "__init__.py")
    return file, where, file.parents[levels]


def _with_neighbours(name: str, first: Path, root: Path, *, follow: bool) -> Iterator[tuple[str, str]]:
    """A file and the modules below the root that it imports, and those these import, by path with their text."""
    left, seen, n_bytes = [first], {first}, 0
    while left:
        file = left.pop()
        text = _text_of(name, file)
        n_bytes += len(text)
        if n_bytes > MAX_BYTES:
            raise BadInputError(f"--model: {name!r} imports over {MAX_BYTES // 2**20} MiB of code")
        path = file.relative_to(root)
        yield path.as_posix(), text
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError) as error:
            line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            told = error.msg if isinstance(error, SyntaxError) else error
            raise BadInputError(f"--model: {name!r}: {path.as_posix()}{line}: SyntaxError: {told}") from error
        inside = path.parent.parts
        for module in _imported(tree, inside) if follow else ():
            for neighbour in _files_of(root, module):
                if neighbour not in seen:
                    seen.add(neighbour)
                    left.append(neighbour)


def _text_of(name: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"--model: {name!r}: {file.name!r} cannot be read: {error}") from error


def _imported(tree: ast.AST, inside: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The modules that a file may import, wherever in it, as parts of their names; ``inside`` is its package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = inside[: len(inside) - node.level + 1] if node.level else ()
            module = (*above, *(node.module.split(".") if node.module else ()))
            yield module
            yield from ((*module, alias.name) for alias in node.names)


def _files_of(root: Path, module: tuple[str, ...]) -> Iterator[Path]:
    """The files of a module and of the packages that it lies in, as far as they are below the root."""
    if not module or module[0] in _OURS:
        return
    for n in range(1, len(module) + 1):
        place = root.joinpath(*module[:n])
        for file in (place.with_name(place.name + ".py"), place / "__init__.py"):
            if file.is_file():
                yield file


def _commit(root: Path, files: list[str]) -> str | None:
    """See ``Code.commit``."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    with contextlib.suppress(OSError, subprocess.SubprocessError):
        commit = git("rev-parse", "--short=12", "HEAD")
        known = set(git("ls-files", "--", *files).splitlines())
        is_changed = not known.issuperset(files) or bool(git("status", "--porcelain", "-uno", "--", *files))
        return commit + ("+" if is_changed else "")
    return None


_given: dict[str, Code] = {}
"""Code by the name of its network: what was sent here, or found before."""


def give(code: Code) -> None:
    """Let a network's name mean this code in this process, whatever lies on its disk."""
    _given[code.name] = code


def give_sent(code: Mapping[str, Any] | None) -> None:
    """``give`` what was sent to this process as a dictionary, if anything was."""
    if code is not None:
        give(Code(**code))


def code_of(name: str) -> Code:
    """The code of a network: what was given, else what is found here.

    Raises:
        BadInputError: As ``collect``.
    """
    return _given[name] if name in _given else collect(name, name)
