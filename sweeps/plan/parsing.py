"""A command's dataclass from the words of the command line; whatever is wrong with them is one line."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import io
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, cast, get_args, get_origin, get_type_hints

import tyro

from sweeps.plan.config import LARGEST_BATCH, LARGEST_WHOLE
from sweeps.text import usable_path
from workloads.base import BadInputError

MAX_DIGITS = 18
AUTO = "auto"
"""The batch size that the sweep finds itself."""
LONGEST_S = 1e9
"""Over thirty years: no sweep waits longer."""
_NUMBERS = {int: "a whole number", float: "a number"}
_UNITS_S = {"s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_SAID = {"expected one argument": "needs a value", "the following arguments are required:": "needs"}
"""What argparse says, and how it is said here."""


class _Words(argparse.ArgumentParser):
    """Says what is wrong with words that tyro makes no command of, and of which it gives only a drawing."""

    def error(self, message: str) -> NoReturn:
        for theirs, ours in _SAID.items():
            message = message.replace(theirs, ours)
        raise BadInputError(message.removeprefix("argument ") if message.startswith("argument ")
                            else f"{self.prog}: {message}")  # fmt: skip

    def add_options(self, kind: type[Any]) -> None:
        """The options of a dataclass, and of those that it is made of."""
        for name, hint in get_type_hints(kind, include_extras=True).items():
            is_positional = tyro.conf.Positional in getattr(hint, "__metadata__", ())
            option = name if is_positional else f"--{name.replace('_', '-')}"
            bare = _bare(hint)
            more = get_args(bare) if get_origin(bare) in (tuple, list) else ()
            if dataclasses.is_dataclass(bare):
                self.add_options(cast("type[Any]", bare))
            elif bare is bool:
                self.add_argument(option, action=argparse.BooleanOptionalAction)
            elif more:
                self.add_argument(
                    option,
                    nargs="*" if more[-1] is ... or get_origin(bare) is list else len(more),
                    type=_reader(more[0]),
                )
            else:
                self.add_argument(option, type=_reader(bare), metavar=name.upper())


def _bare(hint: Any) -> Any:
    """A type without its annotations, and without None as its alternative."""
    hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        return _bare(kinds[0]) if len(kinds) == 1 else str
    return hint


def _reader(hint: Any) -> Callable[[str], Any]:
    """Says what is wrong with a word for a type; what is no number and no choice is for tyro to read."""
    kind = _bare(hint)
    choices = get_args(kind) if get_origin(kind) is Literal else ()

    def read(word: str) -> str:
        if choices and word not in map(str, choices):
            told = f"{word!r} is not one of {', '.join(str(c) for c in choices if c != '')}"
            raise argparse.ArgumentTypeError(told)
        try:
            _ = _NUMBERS.get(kind) and kind(word)
        except ValueError as error:
            is_long = word.isdecimal()  # Python itself reads no whole number of thousands of digits
            told = f"the number is over {LARGEST_WHOLE}" if is_long else f"{word!r} is not {_NUMBERS[kind]}"
            raise argparse.ArgumentTypeError(told) from error
        return word

    return read


def _what_is_wrong(kind: type[Any], name: str, arguments: Sequence[str]) -> str:
    """Why tyro makes no command of these words."""
    words = [re.sub(r"^--[^=]+", lambda found: found[0].replace("_", "-"), word) for word in arguments]
    parser = _Words(prog=name, add_help=False, allow_abbrev=False)
    parser.add_options(kind)
    try:
        _, unknown = parser.parse_known_intermixed_args(words)
    except BadInputError as error:
        return str(error)
    if unknown:
        return f"Unrecognized options: {', '.join(unknown)}"
    return f"{' '.join(words)!r} cannot be parsed as a command line of {name}; see `accelsweep {name} --help`"


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
        options = {f.name: f"--{f.name.replace('_', '-')}" for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **{n: _checked(getattr(value, n), o) for n, o in options.items()})
    return value


def _quiet(kind: type[Any], defaults: Any = None) -> type[Any]:
    """The same options, whose help names no default where that is empty: their text says what absence means."""
    hints, redone = get_type_hints(kind, include_extras=True), []
    for field in dataclasses.fields(kind):
        hint, value = hints[field.name], getattr(defaults, field.name, field.default)
        if dataclasses.is_dataclass(value):
            part = _quiet(cast("type[Any]", _bare(hint)), value)
            default = part(**{f.name: getattr(value, f.name) for f in dataclasses.fields(part)})
            redone.append((field.name, Annotated[part, *hint.__metadata__], dataclasses.field(default=default)))
        elif value in (None, "", (), []):
            redone.append((field.name, Annotated[hint, tyro.conf.arg(help_behavior_hint="")], field))
    is_frozen = kind.__dataclass_params__.frozen
    quiet = dataclasses.make_dataclass(kind.__name__, redone, bases=(kind,), frozen=is_frozen, kw_only=True)
    if not (kind.__doc__ or "").startswith(f"{kind.__name__}("):  # what dataclasses write where nothing is said
        quiet.__doc__ = kind.__doc__
    return quiet


@functools.cache
def _shown(kind: type[Any]) -> type[Any]:
    """The options as their help shows them; tyro keeps what it finds out about a class."""
    return _quiet(kind)


def parse(kind: type[Any], name: str, arguments: Sequence[str]) -> Any:
    """A command's dataclass from the words after its name; BadInputError for whatever is wrong with them.

    Tyro prints its help itself.
    """
    drawn = io.StringIO()
    config: tuple[Any, ...] = (tyro.conf.DisallowNone,)
    if not {"-h", "--help"} & set(arguments):  # else the source of every option is looked through for its help
        config += (tyro.conf.HelptextFromCommentsOff,)
    try:
        with contextlib.redirect_stderr(drawn):
            parsed = tyro.cli(_shown(cast("Any", kind)), prog=f"accelsweep {name}", args=list(arguments), config=config)
    except SystemExit as end:
        if end.code in (0, None):
            raise
        raise BadInputError(_what_is_wrong(kind, name, arguments)) from None
    return _checked(parsed, f"accelsweep {name}")


def parse_duration_s(option: str, text: str) -> float:
    """Seconds from ``90``, ``90s``, ``10m`` or ``2h``; what is no duration is refused."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip())
    if match is None or match[2] not in _UNITS_S or not 0 < float(match[1]) <= LONGEST_S:
        raise BadInputError(f"--{option}: {text!r} is not a duration; write 90s, 10m or 2h")
    return float(match[1]) * _UNITS_S[match[2]]


def parse_batch_sizes(texts: Sequence[str]) -> tuple[int, ...]:
    """Batch sizes from words, each a positive whole number; ``auto`` alone starts at 1."""
    if list(texts) == [AUTO]:
        return (1,)
    for text in texts:
        if len(text) > MAX_DIGITS and text.isdecimal():
            raise BadInputError(f"--batch-size: a number of {len(text)} digits is over {LARGEST_BATCH}")
        if not text.isdecimal() or int(text) < 1:
            raise BadInputError(f"--batch-size: {text!r} is not a positive whole number")
    return tuple(map(int, texts))
