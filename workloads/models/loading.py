"""Models by name, the caller's own: built once and copied, with the user's weights where there are any."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import os
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workloads.base import AHEAD, BadInputError, UnsupportedError
from workloads.images.photographs import load_photographs
from workloads.models import randomised
from workloads.models.calls.behaviour import Behaviour, Sparing, is_lazy, settle_shapes
from workloads.models.calls.examples import InputMaker
from workloads.models.calls.flat import Plain
from workloads.models.calls.inputs import put_in
from workloads.models.calls.taken import Taken
from workloads.models.heads import with_classes
from workloads.models.origins.loaded import LoadedModel
from workloads.models.origins.own import note_head
from workloads.models.origins.state_files import fitted, read_state
from workloads.models.sources import check_model
from workloads.runtime.ahead import Ahead
from workloads.runtime.memory import parts_of

MAX_KEPT_BYTES = 256 * 2**20
"""A larger model is built anew each time, for a copy beside it would be a burden on the host's memory."""
_kept: dict[Hashable, tuple[LoadedModel, torch.Tensor]] = {}
"""The last model by all that decides its weights, the random numbers included, and the generator's state after it."""


def identity_of(file: Path | None) -> Hashable:
    """What tells a file of weights from another, and from itself once it was written anew."""
    if file is None or not os.path.isfile(file):  # which says no of any name
        return file
    found = file.stat()
    return str(file.resolve()), found.st_mtime_ns, found.st_size


def build_model(
    name: str, *, num_classes: int | None = None, pretrained: bool = True, weights_file: Path | None = None
) -> LoadedModel:
    """A model on the CPU in fp32 and evaluation mode, the caller's own: training it leaves no trace in the next one.

    The last model is kept as it was built and copied when it is asked for again, for the cells of a grid mostly differ
    in something else. The generator of random numbers is left as building would have left it.

    Args:
        name: See ``model_names``, or one with the prefix of a source.
        num_classes: Give it a new, random last layer for this many classes.
        pretrained: Ask for weights; where none can be had they are random, and ``weights`` says so.
        weights_file: The user's weights, in which nothing is run; without ``num_classes`` their head's size is taken.

    Raises:
        BadInputError: For an unknown name or unusable weights.
    """
    generator_before = torch.random.get_rng_state().numpy().tobytes()
    key = (name, num_classes, pretrained, identity_of(weights_file), generator_before)
    if key not in _kept:
        _kept.clear()
        loaded = _build(name, num_classes, pretrained, weights_file)
        if is_lazy(loaded.module) or static_bytes(loaded.module) > MAX_KEPT_BYTES:
            return loaded
        _kept[key] = loaded, torch.random.get_rng_state()
    kept, generator = _kept[key]
    torch.random.set_rng_state(generator)
    return dataclasses.replace(kept, module=copy.deepcopy(kept.module), drawn=key)


def _build(name: str, num_classes: int | None, pretrained: bool, weights_file: Path | None) -> LoadedModel:
    source = check_model(name)
    if weights_file is None:
        loaded = source.build(name, pretrained, num_classes)
    else:
        loaded = _with_user_weights(source.build(name, False, None), name, weights_file, num_classes)
    loaded.module.eval()
    return loaded


def _with_user_weights(built: LoadedModel, name: str, file: Path, num_classes: int | None) -> LoadedModel:
    """The model with the user's weights: its head is theirs if that is for as many classes as asked for, else new.

    Raises:
        BadInputError: If they do not fit; without a number of classes also if they have no head.
    """
    state = read_state(file, name)
    if built.code is not None:
        note_head(built)
    there = fitted(built.module, state, name, file)
    own = there.n_classes
    if num_classes is None and not there.has_head and own is None:
        raise BadInputError(
            f"--weights: {str(file)!r} has no head of {name}, whose answers would be random without one"
        )
    module = with_classes(built.module, num_classes or own)
    found = fitted(module, state, name, file)
    put_in(module, found.state)
    told = "loaded" if found.has_head else f"new, for {num_classes} classes"
    if not found.has_head and own is not None:
        told += f" in the place of {own}"
    return dataclasses.replace(built, module=module, weights=file.name, head=told)


def check_weights(file: Path, names: Sequence[str], num_classes: int | None = None) -> str | None:
    """Check that the user's weights fit every model named, by putting them in; before Ray starts.

    Imports torchvision, or timm, for their models.

    Returns:
        What is to be said of heads that cannot be theirs; None for nothing.

    Raises:
        BadInputError: See ``build_model``.
    """
    told = (head_told(build_model(name, num_classes=num_classes, weights_file=file), name, file) for name in names)
    return "; ".join(filter(None, told)) or None


def head_told(loaded: LoadedModel, name: str, file: Path | None) -> str | None:
    """What is to be said of a head that is not the weights' own."""
    if file is None or loaded.head in (None, "loaded"):
        return None
    return f"the body of {name} is loaded from {file.name!r}, its head is {loaded.head}"


def model_and_inputs(
    name: str, *, asked: Sequence[Taken] = (), images: Path | None = None, seed: int = 0,
    weights_file: Path | None = None,
) -> tuple[LoadedModel, InputMaker]:  # fmt: skip
    """THE way to a network that can be run: any ``--model`` as a module, and what makes items to call it with.

    ``make(n).call(module)`` is its answer to ``n`` different items. Random weights are settled: their answers depend on
    the input and stay in range.

    Args:
        name: As for ``build_model``.
        asked: What ``--input`` says; by default what the network itself says, or one image.
        images: A folder of photographs; by default those that scikit-learn ships.
        seed: Of random weights, crops and random numbers.
        weights_file: As for ``build_model``.

    Raises:
        BadInputError: As ``build_model``, or for a folder without images.
    """
    torch.manual_seed(seed)  # random weights, where there are no others, must be the same in each cell
    loaded = build_model(name, weights_file=weights_file)
    takes = loaded.takes or (Taken(shape=(3, loaded.input_size, loaded.input_size)),)
    if len(asked) == len(takes):
        takes = tuple(
            dataclasses.replace(one, is_list=own.is_list, name=one.name or own.name)
            for one, own in zip(asked, takes, strict=True)
        )
    make = InputMaker(
        photographs=load_photographs(images), takes=takes if len(asked) in (0, len(takes)) else tuple(asked),
        example=None if asked else loaded.example, mean=loaded.mean, std=loaded.std, seed=seed,
    )  # fmt: skip
    if loaded.code is not None:
        loaded, make = _spared(loaded, make)
    with contextlib.suppress(RuntimeError):  # TorchScript has none
        loaded.module.requires_grad_(False)
    if loaded.weights == "random" and not loaded.is_quantised:
        randomised.settle(loaded, name, make)
    return loaded, make


def _spared(loaded: LoadedModel, make: InputMaker) -> tuple[LoadedModel, InputMaker]:
    """A network of the user's, its shapes known, which leaves what it is called with as it is."""
    items = make(1)
    settle_shapes(loaded.module, items)
    found = Behaviour.of(loaded.module, items)
    module = Sparing(loaded.module) if found.changes_inputs else loaded.module
    loaded = dataclasses.replace(loaded, module=module, varies=found.varies)
    return loaded, dataclasses.replace(make, is_copied=found.changes_inputs)


def static_bytes(module: nn.Module) -> int:
    """Bytes of a module's parameters and buffers, of quantised ones as they are held."""
    held = (part for tensor in (*module.parameters(), *module.buffers()) for part in parts_of(tensor))
    return sum(part.numel() * part.element_size() for part in held)


def compiled_to_train(module: nn.Module, mode: str) -> Callable[..., Any]:
    """``compiled``; UnsupportedError for ``aot``."""
    if mode == AHEAD:
        raise UnsupportedError("aot: what is trained cannot be compiled ahead of time")
    return compiled(module, mode)


def compiled(module: nn.Module, mode: str) -> Callable[..., Any]:
    """What a cell's steps call: a module itself, or through torch.compile in a mode; ``none`` for neither.

    ``aot`` is compiled ahead of time, for inference alone.
    """
    if mode == AHEAD:
        return Ahead(Plain(module).eval())
    return module if mode == "none" else torch.compile(module, mode=mode)
