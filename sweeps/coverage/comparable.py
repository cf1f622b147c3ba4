"""The part of a result that every device must agree on, for operations that leave the rest to the device."""

from __future__ import annotations

import re
from typing import Any

from sweeps.coverage.differences import tensors_of

_TIES = re.compile(r"^(torch\.Tensor\.)?(sort|topk|mode|kthvalue)(\[|$)")
"""Which of equal elements comes first is not promised (torch.sort's and torch.topk's documentation)."""
_FIRST_ONLY = re.compile(r"^_?native_batch_norm")
"""When evaluating, the CPU leaves the saved statistics empty and CUDA fills them; only training reads them."""


def comparable(name: str, result: Any) -> Any:
    """What to compare of an operation's result, or of its gradients.

    Of sorting and selecting: the values, not the positions; gradients, which go to whichever of equal elements was
    chosen, in ascending order. Of batch normalisation: the output, not the statistics saved for training.

    Args:
        name: The operation's.
        result: A tensor or any structure of them.
    """
    if _TIES.search(name):
        floating = [tensor for tensor in tensors_of(result) if tensor.is_floating_point()]
        return [tensor.detach().flatten().sort().values for tensor in floating]
    if _FIRST_ONLY.search(name) and isinstance(result, tuple):
        return result[:1]
    return result
