"""The installed torch's own list of kernels, read; claims that hold of any torch that pyproject allows."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sweeps.coverage.child.kernels import COMPOSITE, KERNEL, MISSING, UNLISTED, kernels_of, predictable_devices


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("aten::add.Tensor", KERNEL),  # structured: the kernel is its out variant's
        ("aten::relu_", KERNEL),
        ("aten::convolution", COMPOSITE),
        ("aten::zeros_like", COMPOSITE),
        ("aten::linear", KERNEL),  # composite, and yet with a kernel of its own
        ("aten::record_stream", MISSING),
        ("aten::mode", MISSING),
        ("torchvision::nms", KERNEL),
        ("torchvision::_roi_align_backward", KERNEL),
        ("torchvision::deform_conv2d", KERNEL),
        ("torchvision::none_such", MISSING),
        ("image::decode_jpegs", UNLISTED),
    ],
)
def test_what_an_apple_gpu_has(operator: str, kind: str) -> None:
    assert kernels_of("mps").kind(operator) == kind


def test_devices_differ_in_what_they_have() -> None:
    assert {"cpu", "cuda", "mps"} <= set(predictable_devices())
    assert kernels_of("cuda").kind("aten::record_stream") == KERNEL
    assert kernels_of("cpu").kind("aten::mode") == KERNEL
    assert kernels_of("mps").lacks({"float32", "float64"}) == ["float64"]
    assert kernels_of("cuda").lacks({"float64"}) == []


def test_the_list_is_read_without_torch() -> None:
    code = "import sys; from sweeps.coverage.child.kernels import kernels_of; kernels_of('mps'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
