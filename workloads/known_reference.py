"""Trusted answers that earlier cells of the same process have computed already.

The cells of a grid that differ in device, precision, layout or batch size ask for the answers of the same network to
the same images: item by item they are computed once. What decides the network's weights is the key, so another model,
other weights or another seed begin anew; only one network's answers are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from pathlib import Path

import torch

from workloads.reference import MAX_DOUBLE_S, outputs_in_double, outputs_in_single

_known: dict[Hashable, dict[bytes, torch.Tensor]] = {}


def identity_of(path: Path | None) -> Hashable:
    """What tells a file of weights from another, and from itself once it was written anew."""
    if path is None:
        return None
    found = path.stat()
    return str(path.resolve()), found.st_mtime_ns, found.st_size


def _digest(item: torch.Tensor) -> bytes:
    return hashlib.blake2b(item.contiguous().numpy().tobytes(), digest_size=16).digest()


def known_reference_outputs(
    network: Hashable, module: torch.nn.Module, inputs: torch.Tensor, *, max_s: float = MAX_DOUBLE_S
) -> torch.Tensor:
    """What ``reference_outputs`` gives, computed only for items that are new.

    Args:
        network: Everything that decides the module's weights; equal values mean equal weights.
        module: In evaluation mode, with float32 weights, on the CPU.
        inputs: Items x channels x height x width in float32, on the CPU.
        max_s: Seconds that float64 may take for the items that are new.
    """
    if network not in _known:
        _known.clear()
    answers = _known.setdefault(network, {})
    digests = [_digest(item) for item in inputs]
    new = [i for i, digest in enumerate(digests) if digest not in answers]
    if new:
        outputs = outputs_in_double(module, inputs[new], max_s)
        if outputs is None:  # all of them in float32 then: one batch has one type
            return outputs_in_single(module, inputs)
        answers |= {digests[i]: output for i, output in zip(new, outputs, strict=True)}
    return torch.stack([answers[digest] for digest in digests])
