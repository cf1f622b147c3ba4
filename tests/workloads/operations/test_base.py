"""Choosing operations by pattern, tolerances, even spreading."""

from __future__ import annotations

import pytest

from workloads.operations.base import Tolerance, evenly, matches
from workloads.operations.transforms import transform_operations


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("nn.functional.conv2d", "conv*", True),
        ("nn.functional.conv2d", "nn.functional.*", True),
        ("nn.functional.conv2d", "conv3d", False),
        ("resize_image", "resize*", True),
        ("torch.nn.Conv2d", "conv2d", True),
    ],
)
def test_a_pattern_fits_the_whole_name_or_its_last_part(name: str, pattern: str, fits: bool) -> None:
    assert matches(name, [pattern]) is fits


def test_no_pattern_fits_everything() -> None:
    assert matches("svd", [])


def test_matching_operations_are_those_that_fit() -> None:
    assert {o.name for o in transform_operations() if matches(o.name, ["resize_*"])} == {
        "resize_bounding_boxes", "resize_image", "resize_keypoints", "resize_mask", "resize_video",
    }  # fmt: skip


def test_a_negative_tolerance_is_refused() -> None:
    with pytest.raises(ValueError, match=r"self\.relative=-1"):
        Tolerance(absolute=0.0, relative=-1)


def test_the_loosest_of_two_tolerances_takes_each_part() -> None:
    loosest = Tolerance(absolute=1.0, relative=0.1).loosest(Tolerance(absolute=0.5, relative=0.2))
    assert loosest == Tolerance(absolute=1.0, relative=0.2)


def test_items_are_spread_evenly_and_begin_with_the_first() -> None:
    assert evenly(range(10), 5) == [0, 2, 4, 6, 8]
    assert evenly(range(3), 5) == [0, 1, 2]
