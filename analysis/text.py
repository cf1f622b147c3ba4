"""Markdown: tables, numbers with the digits they deserve, escaped text, words that are counted and listed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

MISSING = "n/a"
MIN_DIGITS, MAX_DIGITS = 3, 4
"""Significant digits of any number that is told."""
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~$])")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_LINE_START = re.compile(r"^(?:#{1,6}|[+=-]+|\d+[.)])(?=\s|$)")
# What a terminal would act on, or what turns the writing round: a report is read with `cat` as well.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def escape(text: object) -> str:
    """Text from results as Markdown shows it literally, on one line."""
    flat = visible(re.sub(r"\s+", " ", str(text)).strip())
    plain = _SPECIAL.sub(r"\\\1", _ENTITY.sub("&amp;", flat)).replace("\\<", "&lt;").replace("\\>", "&gt;")
    return _LINE_START.sub(lambda start: f"{start[0][:-1]}\\{start[0][-1]}", plain)


def visible(text: str) -> str:
    """Text whose control characters, escape codes among them, are shown instead of obeyed."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def shortened(text: str, limit: int) -> str:
    """A text as it is, or of a longer one its beginning and its end: an error's cause stands at either."""
    return text if len(text) <= limit else f"{text[: limit // 2 - 3]} ... {text[3 - limit // 2 :]}"


def is_missing(value: object) -> bool:
    """Whether a value is null in any of pandas' ways."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or str(value) in {"<NA>", "NaT"}


def significant(value: float, digits: int = MIN_DIGITS) -> str:
    """A number with so many significant digits, without an exponent where people would not write one."""
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return MISSING
    rounded = float(f"{value:.{digits - 1}e}")
    places = digits - 1 - math.floor(math.log10(abs(rounded)))  # of 99.96 those of 100
    if abs(rounded) >= 10**7 or abs(rounded) < 10**-5:
        return f"{value:.{digits - 1}e}"
    return f"{rounded:,.{max(0, places)}f}"


def number(value: Any, digits: int = MIN_DIGITS) -> str:
    """A number with so many significant digits; n/a if null.

    Numbers that a reader compares must have equally many: 146,884 with two and 146,167 with three come out in the wrong
    order.
    """
    return MISSING if is_missing(value) else significant(float(value), digits)


def shared_digits(figures: Iterable[tuple[Any, Any, Any]]) -> int:
    """How many digits numbers that stand together have, given as (value, low, high), each null where unknown.

    As many as the narrowest of their intervals supports, one beyond the first that is uncertain, of three to four.
    """
    known = (figure for figure in figures if not any(map(is_missing, figure)))
    return max((_supported_digits(*map(float, figure)) for figure in known), default=MIN_DIGITS)


def _supported_digits(value: float, low: float, high: float) -> int:
    if value == 0 or not all(map(math.isfinite, (value, low, high))):
        return MIN_DIGITS
    width = max(abs(high - value), abs(value - low), abs(value) * 1e-4)
    digits = math.floor(math.log10(abs(value))) - math.floor(math.log10(width)) + 1
    return min(MAX_DIGITS, max(MIN_DIGITS, digits))


def share(value: Any) -> str:
    """A share from 0 to 1 as a percentage."""
    return MISSING if is_missing(value) else f"{100 * float(value):.1f} %"


def seconds_as_ms(value: Any) -> str:
    """Seconds as a number of milliseconds."""
    return MISSING if is_missing(value) else number(1e3 * float(value))


def gibibytes(value: Any) -> str:
    """Bytes as a number of GiB."""
    return MISSING if is_missing(value) else significant(float(value) / 2**30, 3)


def counted(n: int, noun: str = "cell") -> str:
    """``1 cell``, ``1,200 cells``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def listed(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def joined(*words: str | None) -> str:
    """``a, b`` of those that say something."""
    return ", ".join(word for word in words if word)


def some(words: Sequence[str], n: int, separator: str = ", ") -> str:
    """The first ``n`` of the words, and how many more there are: ``a, b and 3 more``."""
    more = f" and {len(words) - n:,} more" if len(words) > n else ""
    return f"{separator.join(words[:n])}{more}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], n_left: int = 1) -> str:
    """A GitHub-flavoured table of texts that are escaped already; the first ``n_left`` columns are aligned left."""
    rule = [":---" if i < n_left else "---:" for i in range(len(headers))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (headers, rule, *rows))
