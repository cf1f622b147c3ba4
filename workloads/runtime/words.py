"""What others' errors say, in one line that keeps the cause."""

from __future__ import annotations

MAX_SHOWN = 300


def in_short(error: BaseException | str, limit: int = MAX_SHOWN) -> str:
    """An error's type and message, or a text, on one line; of a longer one the middle is left out.

    Causes stand at either end: an exception's own words come first, those of what it wraps last.
    """
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return shortened(" ".join(text.split()).removesuffix(":"), limit)


def shortened(text: str, limit: int) -> str:
    """A text as it is, or of a longer one its beginning and its end, ``limit`` characters at most."""
    return text if len(text) <= limit else f"{text[: limit // 2 - 3]} ... {text[3 - limit // 2 :]}"
