"""What of a model can be known before a device is opened: that it takes the image size and can be trained anew.

Everything runs on PyTorch's meta device, which computes shapes and no values: a second at most for a model.
"""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING

from workloads.base import BadInputError
from workloads.models.origins.loaded import LoadedModel
from workloads.models.sources import DEFAULT_MODEL, check_model
from workloads.runtime.late import late

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workloads.models import heads
    from workloads.models.calls import answers as calls
    from workloads.models.origins import running
    from workloads.runtime import meta
else:
    torch, heads, meta = late("torch"), late("workloads.models.heads"), late("workloads.runtime.meta")
    calls, running = late("workloads.models.calls.answers"), late("workloads.models.origins.running")

SIZES = (64, 96, 128, 160, 224, 256, 299, 384, 448, 518)
"""Image sizes that are proposed where a model's own does not help."""


def on_meta(name: str, num_classes: int | None) -> LoadedModel:
    """A model without values. Imports torchvision, or timm, for their models."""
    source = check_model(name)
    with warnings.catch_warnings(action="ignore"):
        try:
            with torch.device("meta"):
                return source.build(name, False, num_classes)
        except (NotImplementedError, RuntimeError):  # it reads values while it is built, which the meta device lacks
            with torch.device("cpu"), meta.ParametersOnMeta():
                loaded = source.build(name, False, num_classes)
            loaded.module.to("meta")
            return loaded


def _refusal(module: nn.Module, size: int, num_classes: int) -> str | None:
    """Why a model does not train on images of a size; None if it does."""
    inputs = torch.zeros(2, 3, size, size, device=next(module.parameters()).device)
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            answers = [module.train(is_training)(inputs) for is_training in (True, False)]
    except Exception as error:  # models refuse sizes in all ways
        return running.told(error, 160)
    for answer in answers:
        scores = calls.scores_of(answer, num_classes)
        if scores is None or scores.shape != (2, num_classes):
            given = tuple(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
            return f"it returns {given} instead of 2 x {num_classes} class scores"
    return None


@functools.lru_cache(maxsize=32)
def check_trainable(name: str, image_size: int, num_classes: int) -> None:
    """Check that a model has a head to train anew and takes images of a size; the default model does.

    Asked twice of a command line, one that can be trained is built once.

    Raises:
        BadInputError: With an image size that it takes, if one is found.
    """
    if name == DEFAULT_MODEL:
        return  # from 32 pixels on, which is the least that the option takes; nothing need be imported to know it
    source = check_model(name)
    if not source.is_classifier:
        raise BadInputError(f"--model: {name!r} cannot be trained here: it does not tell classes of images apart")
    loaded = source.build(name, False, num_classes) if source.is_tried else on_meta(name, num_classes)
    module = loaded.module
    head, _ = heads.last_layer(module)
    reason = _refusal(module, image_size, num_classes)
    if reason is None:
        return
    fitting = next((s for s in (loaded.input_size, *SIZES) if _refusal(module, s, num_classes) is None), None)
    if fitting is None:
        told = f"with {head}, its last linear or convolutional layer, replaced by a new one for {num_classes} classes"
        raise BadInputError(f"--model: {name!r} cannot be trained on images: {reason} ({told})")
    least = next(s for s in sorted({*SIZES, fitting}) if s == fitting or _refusal(module, s, num_classes) is None)
    raise BadInputError(f"--image-size: {image_size} does not work with {name} ({reason}); --image-size {least} does")
