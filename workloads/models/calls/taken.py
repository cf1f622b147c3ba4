"""What a network takes, as ``--input`` says it: a name where it is taken by name, a type, a shape. Free of torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from workloads.base import BadInputError

FLOATS = ("float32", "float64", "float16", "bfloat16")
WHOLE = ("int64", "int32", "int16", "int8", "uint8", "bool")
_HIGH = {"uint8": 256, "bool": 2, "int8": 128}
_SHORT = {"fp32": "float32", "fp64": "float64", "fp16": "float16", "bf16": "bfloat16", "float": "float32",
          "double": "float64", "half": "float16", "long": "int64", "int": "int32"}  # fmt: skip
_FORM = re.compile(
    r"(?:(?P<first>[A-Za-z_]\w*):)?(?:(?P<second>[A-Za-z_]\w*):)?(?P<shape>\d+(?:x\d+)*)(?:<(?P<high>\d+))?"
)
_HOW = "write 3x224x224, NAME:3x224x224, or 'ids:int64:1x128<30522' for integers below 30522"
MOST = 2**40


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One tensor that a network takes.

    Attributes:
        shape: Of one item.
        dtype: By torch's name.
        high: Whole numbers are under it.
        name: The argument's name; None where it is taken by its place.
        is_list: A list is taken with a tensor for each item.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    high: int | None = None
    name: str | None = None
    is_list: bool = False

    @property
    def is_photograph(self) -> bool:
        """It may be made of a photograph: channels x height x width, of colours or of grey."""
        return self.dtype == "float32" and len(self.shape) == 3 and self.shape[0] in (1, 3)

    @property
    def is_clip(self) -> bool:
        """It may be made of a photograph that the camera pans over: 3 x frames x height x width."""
        return self.dtype == "float32" and len(self.shape) == 4 and self.shape[0] == 3

    @property
    def told(self) -> str:
        """As ``input_shape`` of a row has it, such as ``3x224x224`` or ``ids:int64:128<30522``."""
        words = [self.name, None if self.dtype == "float32" else self.dtype, "x".join(map(str, self.shape))]
        return ":".join(word for word in words if word) + (f"<{self.high}" if self.high is not None else "")


def told(takes: Sequence[Taken]) -> str:
    """Several of them, as a row has them."""
    return " ".join(one.told for one in takes)


def parse_taken(text: str) -> Taken:
    """One word of ``--input``: ``[NAME:][TYPE:]SHAPE[<HIGH]``, the shape without the items.

    Whole numbers have no channels, so that a first 1 of theirs is the place of the items (``1x128``).

    Raises:
        BadInputError: With the word and how it is written.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise BadInputError(f"--input: {text!r} is no input; {_HOW}")
    first, second = found["first"], found["second"]
    name, kind = (first, second) if second else (None, first) if _dtype(first) else (first, None)
    dtype = _dtype(kind or "float32")
    if dtype is None:
        raise BadInputError(f"--input: {text!r}: {kind!r} is no type; allowed: {', '.join((*FLOATS, *WHOLE))}")
    shape = tuple(map(int, found["shape"].split("x")))
    high = int(found["high"]) if found["high"] else _HIGH.get(dtype)
    if dtype in FLOATS and high is not None:
        raise BadInputError(f"--input: {text!r}: only integers take a limit, and {dtype} is no integer type")
    if dtype in WHOLE and high is None:
        raise BadInputError(
            f"--input: {text!r}: {dtype} needs the limit below which its values are, such as '{text}<1000'"
        )
    if dtype in WHOLE and shape[0] == 1 and len(shape) > 1:
        shape = shape[1:]
    n_values = 1
    for size in shape:
        n_values *= size
    if not 0 < n_values < MOST or (high is not None and not 0 < high < 2**63):
        raise BadInputError(f"--input: {text!r} has a size of 0 or one that no memory holds")
    return Taken(shape=shape, dtype=dtype, high=high, name=name)


def _dtype(word: str | None) -> str | None:
    word = _SHORT.get(word or "", word)
    return word if word in (*FLOATS, *WHOLE) else None


def parse_inputs(texts: Sequence[str]) -> tuple[Taken, ...]:
    """Every word of ``--input``; those without a name come first, as in a call.

    Raises:
        BadInputError: For a word that is none, a name given twice or an input by place after one by name.
    """
    takes = tuple(map(parse_taken, texts))
    names = [one.name for one in takes if one.name]
    if len(set(names)) < len(names):
        raise BadInputError(f"--input: {' '.join(texts)!r} names an argument twice")
    if any(one.name is None for one in takes[sum(one.name is None for one in takes) :]):
        raise BadInputError(f"--input: {' '.join(texts)!r}: arguments without a name come first")
    return takes
