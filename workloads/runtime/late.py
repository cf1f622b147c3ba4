"""Modules that are imported when they are first used: a command line is read without torch, which takes seconds.

``importlib.util.LazyLoader`` would put an unfinished torch where every library looks whether torch is there. Functions
that torch.compile traces import torch itself: it cannot look into the stand-in.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import inspect
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

_names: list[str] = []


class _Late:
    """Stands for a module."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


def late(name: str) -> Any:
    """A stand-in for the module of this name, whose attributes import it."""
    _names.append(name)
    return _Late(name)


def import_all() -> None:
    """Import every module that has a stand-in, and what these import late in turn."""
    for name in _names:  # which grows meanwhile
        importlib.import_module(name)


_ahead: list[threading.Thread] = []


def begin_importing(*names: Sequence[str]) -> None:
    """Import modules, each sequence in a thread: an import waits for the disk half its time.

    What those of the first import late is imported after them. What fails is told where it is imported next. Until
    ``wait_for_imports`` nobody looks for garbage, of which imports make none and among which it would be looked for.
    """
    if names:
        gc.disable()
    for number, mine in enumerate(names):
        _ahead.append(threading.Thread(target=_import_ahead, args=(mine, number == 0), daemon=True))
        _ahead[-1].start()


def _import_ahead(names: Sequence[str], is_first: bool) -> None:
    with _no_source_read() if is_first else contextlib.nullcontext():
        for name in names:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        if is_first:
            with contextlib.suppress(Exception):
                import_all()


@contextlib.contextmanager
def _no_source_read() -> Iterator[None]:
    """Let torch note where it registers its operators without the text of those lines, for which whole files are read.

    It notes name and number alone; the text takes a twelfth of its import. For one thread at a time.
    """
    original = inspect.getframeinfo
    inspect.getframeinfo = lambda frame, context=1: original(frame, 0)
    try:
        yield
    finally:
        inspect.getframeinfo = original


def wait_for_imports(*needed: str) -> None:
    """Wait until nothing is imported beside what comes now, which is timed, or imports itself; then import ``needed``.

    Two threads that import the same packages in another order are a deadlock, of which Python frees them by an error in
    one; what failed half-way is begun again, and torch's library ends a process that does so. Only for processes that
    are ours: what is there afterwards is not looked through for garbage any more.
    """
    if _ahead or not sys.modules.keys() >= set(needed):
        gc.disable()  # a sixth of the time in which torch is imported
        try:
            while _ahead:
                _ahead.pop().join()
            with _no_source_read():
                for name in needed:
                    importlib.import_module(name)
        finally:
            gc.freeze()
            gc.enable()
