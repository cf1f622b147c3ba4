"""A command's dataclass from the words of the command line; whatever is wrong with them is one line."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tyro

from sweeps.plan.config import LARGEST_BATCH, LARGEST_WHOLE
from sweeps.text import usable_path
from workloads.base import BadInputError

MAX_DIGITS = 18

AUTO = "auto"
"""The batch size that the sweep finds itself."""

LONGEST_S = 1e9
"""Over thirty years: no sweep waits longer."""

_UNITS_S = {"s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


_RULE = re.compile(r"[─-]{5,}")
_QUOTED = re.compile(r"'([^']*)'")
_Reword = Callable[[re.Match[str]], str]
_KINDS = {"INT": "a whole number", "FLOAT": "a number", "PATH": "a path"}
# What tyro says, and how it is said here: the option, the value, what is allowed.
_REWORDED: tuple[tuple[str, _Reword], ...] = (
    (r"Error parsing (\S+): could not convert string to float: (.*)", lambda m: f"{m[1]}: {m[2]} is not a number"),
    (r"Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)",
     lambda m: f"{m[1]}: {m[2]} is not a whole number"),
    (r"Error parsing (\S+): Exceeds the limit .*", lambda m: f"{m[1]}: the number is over {LARGEST_WHOLE}"),
    (r"Error parsing (\S+): no type matching (\w+) could be instantiated from \[(.*?)\]\..*",
     lambda m: f"{m[1]}: {m[3]} is not {_KINDS.get(m[2], m[2])}"),
    (r"Error parsing (\S+): Could not find valid parse for arguments: \[(.*)\]",
     lambda m: f"{m[1]}: {m[2]} cannot be read"),
    (r"invalid choice (.*) for argument '(\S+)'\. Expected one of \((.*)\)\.?",
     lambda m: f"{m[2]}: {m[1]} is not one of {', '.join(filter(None, _QUOTED.findall(m[3])))}"),
    (r"(?:Missing value for argument|Missing required value for) '(\S+?)'.*", lambda m: f"{m[1]}: needs a value"),
    (r"Missing from (?:accelsweep )?([^:]*): (\S+) (.*?)(?: \(required\))?",
     lambda m: f"{m[1]}: needs {m[2]}: {m[3]}"),
    (r"Error parsing (\S+): (.*)", lambda m: f"{m[1]}: {m[2]}"),
)  # fmt: skip


def _one_line(box: str) -> str:
    """What tyro draws of bad usage in a box, as one line: what stands between its title and its first inner rule."""
    rows: list[str] = []
    for line in re.sub(r"\x1b\[[0-9;]*m", "", box).split("\n")[1:]:
        row = re.sub(r"^[│╰]|[│╯]$", "", line.strip()).strip()
        if _RULE.fullmatch(row) and rows:
            break
        rows += [row] if row and not _RULE.fullmatch(row) else []
    told = " ".join(rows)
    for pattern, reword in _REWORDED:
        found = re.fullmatch(pattern, told, re.DOTALL)
        if found is not None:
            return reword(found)
    return told


@contextlib.contextmanager
def _unfolded(arguments: Sequence[str]) -> Iterator[None]:
    """Keep tyro from folding what it says of bad usage; its help it may fold to the terminal."""
    before = os.environ.get("COLUMNS")
    if not {"-h", "--help"} & set(arguments):
        os.environ["COLUMNS"] = "1000000"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("COLUMNS", None)
        else:
            os.environ["COLUMNS"] = before


def _checked(value: Any, option: str) -> Any:
    """A value that can be computed with and written to a table, paths with ``~`` as the user's home."""
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInputError(f"{option}: {value} is not a finite number")
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        raise BadInputError(f"{option}: the number is over {LARGEST_WHOLE}")
    if isinstance(value, Path):
        return usable_path(value)
    if isinstance(value, tuple):
        return tuple(_checked(part, option) for part in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [f.name for f in dataclasses.fields(value)]
        changed = {name: _checked(getattr(value, name), f"--{name.replace('_', '-')}") for name in names}
        return dataclasses.replace(value, **changed)
    return value


def parse(kind: type[Any], name: str, arguments: Sequence[str]) -> Any:
    """A command's dataclass from its arguments; tyro prints its help itself.

    Args:
        kind: The dataclass.
        name: The command, for its help.
        arguments: The words after it.

    Raises:
        BadInputError: For anything the command line gets wrong.
    """
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors), _unfolded(arguments):
            parsed = tyro.cli(kind, prog=f"accelsweep {name}", args=list(arguments), config=(tyro.conf.DisallowNone,))
    except SystemExit as end:
        if end.code in (0, None):
            raise
        raise BadInputError(_one_line(errors.getvalue())) from None
    return _checked(parsed, f"accelsweep {name}")


def parse_duration_s(option: str, text: str) -> float:
    """Seconds from ``90``, ``90s``, ``10m`` or ``2h``.

    Raises:
        BadInputError: If the text is no duration.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip())
    if match is None or match[2] not in _UNITS_S or not 0 < float(match[1]) <= LONGEST_S:
        raise BadInputError(f"--{option}: {text!r} is no duration; write 90s, 10m or 2h")
    return float(match[1]) * _UNITS_S[match[2]]


def parse_batch_sizes(texts: Sequence[str]) -> tuple[int, ...]:
    """Batch sizes from words; ``auto`` alone starts at 1.

    Raises:
        BadInputError: If one is no positive whole number.
    """
    if list(texts) == [AUTO]:
        return (1,)
    sizes = []
    for text in texts:
        if len(text) > MAX_DIGITS and text.isdecimal():
            raise BadInputError(f"--batch-size: a number of {len(text)} digits is over {LARGEST_BATCH}")
        if not text.isdecimal() or int(text) < 1:
            raise BadInputError(f"--batch-size: {text!r} is not a positive whole number")
        sizes.append(int(text))
    return tuple(sizes)
