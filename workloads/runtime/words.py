"""What others' errors say, in one line that keeps the cause."""

from __future__ import annotations

MAX_SHOWN = 300


def in_short(error: BaseException | str, limit: int = MAX_SHOWN) -> str:
    """An error's type and message, or a text, on one line; of a longer one the middle is left out.

    Causes stand at either end: an exception's own words come first, those of what it wraps last.
    """
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    line = " ".join(text.split()).removesuffix(":")
    return line if len(line) <= limit else f"{line[: limit // 2 - 3]} ... {line[3 - limit // 2 :]}"
