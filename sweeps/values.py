"""Values of options from words: durations and batch sizes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sweeps.config import LARGEST_BATCH
from workloads.base import BadInputError

MAX_DIGITS = 18
AUTO = "auto"
"""The batch size that the sweep finds itself."""
LONGEST_S = 1e9
"""Over thirty years: no sweep waits longer."""
_UNITS_S = {"s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


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
