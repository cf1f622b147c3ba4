"""What ``--input`` says of what a network takes."""

from __future__ import annotations

import pytest

from workloads.base import BadInputError
from workloads.models.calls.taken import Taken, parse_inputs, parse_taken, told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3x224x224", Taken(shape=(3, 224, 224))),
        ("1x28x28", Taken(shape=(1, 28, 28))),
        ("7", Taken(shape=(7,))),
        ("x:3x8x8", Taken(shape=(3, 8, 8), name="x")),
        ("bf16:16", Taken(shape=(16,), dtype="bfloat16")),
        ("ids:int64:1x128<30522", Taken(shape=(128,), dtype="int64", high=30522, name="ids")),
        ("long:128<5", Taken(shape=(128,), dtype="int64", high=5)),
        ("mask:bool:128", Taken(shape=(128,), dtype="bool", high=2, name="mask")),
        ("uint8:3x8x8", Taken(shape=(3, 8, 8), dtype="uint8", high=256)),
    ],
)
def test_what_is_written_is_what_is_taken(text: str, expected: Taken) -> None:
    assert parse_taken(text) == expected
    assert parse_taken(expected.told) == expected, "as the row has it"


@pytest.mark.parametrize(
    ("texts", "match"),
    [
        (["3,224,224"], r"--input: '3,224,224' is no input; write 3x224x224"),
        (["ids:int64:128"], r"int64 needs the limit below which its values are, such as 'ids:int64:128<1000'"),
        (["x:float99:3"], "'float99' is no type; allowed: float32, float64"),
        (["3x8x8<4"], "only integers take a limit"),
        (["3x0x8"], "size of 0"),
        (["ids:int64:8<0"], "size of 0 or one that no memory holds"),
        (["a:3", "a:4"], "names an argument twice"),
        (["a:3", "4"], "without a name come first"),
        ([""], "is no input"),
    ],
)
def test_anything_else_is_refused_in_one_line(texts: list[str], match: str) -> None:
    with pytest.raises(BadInputError, match=match):
        parse_inputs(texts)


def test_several_are_told_in_order() -> None:
    assert told(parse_inputs(["3x8x8", "ids:int64:1x4<9"])) == "3x8x8 ids:int64:4<9"
