"""The user's own code run: imported from its text, called for its network, and its last frame of an error found."""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from workloads.base import BadInputError
from workloads.models.origins.own_code import Code
from workloads.runtime.words import MAX_SHOWN, in_short


class _FromText(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports the modules of one code from their text; each is said to lie where it lay when it was collected."""

    def __init__(self, code: Code) -> None:
        self.root = Path(os.path.expanduser(code.root))
        self.texts, self.files, self._packages = dict[str, str](), dict[str, Path](), set[str]()
        for path, text in code.files.items():
            parts = Path(path).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            parts = parts[:-1] if is_package else parts
            name = ".".join(parts) if self.texts else code.module  # which comes first
            self.texts[name], self.files[name] = text, self.root / path
            self._packages |= {name} if is_package else set()
            self._packages |= {".".join(parts[:n]) for n in range(1, len(parts))}  # also without an __init__.py
        for name in self._packages - set(self.texts):
            self.texts[name], self.files[name] = "", self.root.joinpath(*name.split("."), "__init__.py")

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if fullname not in self.texts:
            return None
        file, is_package = self.files[fullname], fullname in self._packages
        spec = importlib.machinery.ModuleSpec(fullname, self, origin=str(file), is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [str(file.parent)]
        return spec

    def is_package(self, fullname: str) -> bool:
        return fullname in self._packages

    def get_source(self, fullname: str) -> str:
        return self.texts[fullname]

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.texts[fullname], str(self.files[fullname]))


class _Entered:
    """The code whose modules this process has; only one at a time, as two may have modules of one name."""

    def __init__(self) -> None:
        self.digest: str | None = None
        self.finder: _FromText | None = None
        self._hidden: dict[str, ModuleType] = {}
        self._added: list[str] = []

    def enter(self, code: Code) -> None:
        if self.digest == code.digest:
            return
        self.leave()
        self.digest, self.finder = code.digest, None if code.is_installed else _FromText(code)
        if self.finder is not None:
            self._hidden = {name: sys.modules.pop(name) for name in self.finder.texts if name in sys.modules}
            sys.meta_path.insert(0, self.finder)
            # What is imported by names that no source shows, and what lies beside a file that is in a package.
            self._added = [str(self.finder.root), str(self.finder.files[code.module].parent)]
            sys.path.extend(self._added)

    def leave(self) -> None:
        if self.finder is not None:
            for name in self.finder.texts:
                sys.modules.pop(name, None)
            sys.modules.update(self._hidden)
            sys.meta_path.remove(self.finder)
            for folder in self._added:
                with contextlib.suppress(ValueError):
                    sys.path.remove(folder)
        self.digest, self.finder, self._hidden = None, None, {}


_entered = _Entered()


def made(code: Code) -> Any:
    """What the function or class of a code gives when it is called without arguments; of a module itself a copy.

    It runs where the user was when the code was found, where this machine has that folder.

    Raises:
        BadInputError: If there is none of the name, or it needs arguments.
        Exception: Whatever the code itself raises.
    """
    folder = os.path.expanduser(code.folder)
    with contextlib.chdir(folder) if os.path.isdir(folder) else contextlib.nullcontext():
        return _made(code)


def _made(code: Code) -> Any:
    from torch import nn

    _entered.enter(code)
    found: Any = importlib.import_module(code.module)
    for part in code.attribute.split("."):
        if not hasattr(found, part):
            near = ", ".join(_callables(found)) or "none"
            raise BadInputError(
                f"--model: {code.name!r}: there is no {code.attribute!r} in it; functions and classes: {near}"
            )
        found = getattr(found, part)
    if isinstance(found, nn.Module):
        return copy.deepcopy(found)
    if not callable(found):
        raise BadInputError(f"--model: {code.name!r} is a {type(found).__name__}, not a function or class")
    if needed := ", ".join(_needed(found)):
        told = "write a function without any that calls it"
        raise BadInputError(f"--model: {code.name!r} needs arguments ({needed}); {told}")
    return found()


def _callables(module: Any) -> Iterator[str]:
    for name, value in vars(module).items():
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", None) == module.__name__:
            yield name


def _needed(function: Any) -> list[str]:
    """Arguments that a function has no default for."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of what is not written in Python
        return []
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in kinds]


def own_frame(error: BaseException) -> str | None:
    """The last frame of an error in the user's code that this process has, such as ``net.py:12 in forward``."""
    code_files = _files()
    found, at = None, error
    seen: set[int] = set()
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        for frame in traceback.extract_tb(at.__traceback__):
            if frame.filename in code_files:
                found = f"{code_files[frame.filename]}:{frame.lineno} in {frame.name}"
        if found is not None:
            break
        at = at.__cause__ or at.__context__  # type: ignore[assignment]
    return found


def _files() -> dict[str, str]:
    """Every file of the code that this process has, by its whole path, with what it is called."""
    finder = _entered.finder
    if finder is None:
        return {}
    return {str(file): file.relative_to(finder.root).as_posix() for file in finder.files.values()}


def told(error: BaseException, limit: int = MAX_SHOWN) -> str:
    """An error in one line: where in the user's code, if there, and what."""
    frame, said = own_frame(error), in_short(error, limit)
    return said if frame is None else f"{frame}: {said}"
