"""The user's own code as a source of networks."""

from __future__ import annotations

import contextlib

import torch
from torch import nn

from workloads.base import BadInputError
from workloads.models.calls.examples import read_example
from workloads.models.calls.inputs import Inputs
from workloads.models.heads import note_last_called, with_classes
from workloads.models.origins.loaded import LoadedModel
from workloads.models.origins.own_code import code_of
from workloads.models.origins.running import made

SIZES = (48, 64, 224, 32, 96, 128, 384)
"""Images by which a head is found; the first is what a training has by default, and lazy layers take its shapes."""
AS_BUILT = "as built"
"""What the weights of a network are called that only its own code knows."""


class CodeEndsError(Exception):
    """The user's code would end the process."""


def build(name: str, _pretrained: bool, num_classes: int | None) -> LoadedModel:
    """What ``net.py:build`` gives: a network, or a pair of one and example inputs.

    Raises:
        BadInputError: If it gives neither.
        Exception: Whatever the code itself raises.
    """
    code = code_of(name)
    try:
        given = made(code)
    except SystemExit as error:
        raise CodeEndsError(f"{name} calls sys.exit({error.code})") from error
    module, example = given if isinstance(given, (tuple, list)) and len(given) == 2 else (given, None)
    if not isinstance(module, nn.Module):
        allowed = "a torch.nn.Module, or a pair of one and example inputs"
        raise BadInputError(f"--model: {name!r} gives {type(given).__name__}; allowed: {allowed}")
    own_types = {p.dtype for p in module.parameters() if p.is_floating_point()}
    inputs = None if example is None else read_example(example, name)
    loaded = LoadedModel(
        module=module.cpu().float().eval(), weights=AS_BUILT, code=code.digest, commit=code.commit,
        example=inputs and inputs.with_tensors([t.float() if t.dtype in own_types else t for t in inputs.tensors]),
    )  # fmt: skip
    if num_classes is not None:
        note_head(loaded)
        with_classes(module, num_classes)
    return loaded


def note_head(loaded: LoadedModel) -> None:
    """Note which layer of a network is its head, by calling it: with its example, or images of a size that it takes."""
    images = (Inputs.of(torch.zeros(1, 3, size, size)) for size in SIZES)
    for inputs in images if loaded.example is None else (loaded.example[:1],):
        with contextlib.suppress(Exception), torch.no_grad():  # it takes others, as it will say
            note_last_called(loaded.module, inputs)
            return
