"""Networks of Hugging Face's transformers: image classifiers and text encoders, ``hf/NAME``."""

from __future__ import annotations

import contextlib
import difflib
import os
from typing import Any

from workloads.base import BadInputError
from workloads.models.calls.taken import Taken
from workloads.models.heads import with_classes
from workloads.models.origins.loaded import IMAGENET_MEAN, IMAGENET_STD, LoadedModel
from workloads.models.origins.published import DOWNLOAD_TIMEOUT_S, with_weights_or_without
from workloads.runtime.words import in_short

PREFIX = "hf/"
N_TOKENS = 128


def build(name: str, pretrained: bool, num_classes: int | None) -> LoadedModel:
    """An architecture (``hf/bert``), a model of the hub (``hf/ORGANISATION/NAME``) or a saved one (``hf/./folder``).

    Architectures have their default size and random weights; the hub's models come from its cache where there is no
    network.

    Raises:
        BadInputError: If there is no such configuration, or it is neither an image classifier's nor a text encoder's.
    """
    for variable in ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"):
        os.environ.setdefault(variable, str(round(DOWNLOAD_TIMEOUT_S)))
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    own = name.removeprefix(PREFIX)
    own = os.path.expanduser(own) if os.path.isdir(os.path.expanduser(own)) else own
    config, has_weights = _configuration(name, own)
    is_image = type(config) in transformers.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
    kind = transformers.AutoModelForImageClassification if is_image else transformers.AutoModel
    takes = _image(config) if is_image else _text(name, config)
    module, weights = with_weights_or_without(
        name, pretrained and has_weights,
        lambda is_trained: kind.from_pretrained(own, config=config) if is_trained else kind.from_config(config),
    )  # fmt: skip
    mean, std = _normalisation(own) if is_image and weights != "random" else (IMAGENET_MEAN, IMAGENET_STD)
    return LoadedModel(
        module=with_classes(module.float(), num_classes), weights="hub" if weights != "random" else weights,
        takes=takes, mean=mean, std=std,
    )  # fmt: skip


def _configuration(name: str, own: str) -> tuple[Any, bool]:
    """A model's configuration, and whether there may be weights for it."""
    import transformers

    known = list(transformers.CONFIG_MAPPING)
    if own in known:
        return transformers.CONFIG_MAPPING[own](), False
    try:
        config = transformers.AutoConfig.from_pretrained(own)
    except Exception as error:  # no network, no such model, a configuration of other code
        near = difflib.get_close_matches(own, known, n=4) or ["vit", "resnet", "bert", "distilbert"]
        raise BadInputError(
            f"--model: the configuration of {name!r} cannot be loaded ({in_short(error, 120)}); architectures that need"
            f" no download: {', '.join(PREFIX + one for one in near)}"
        ) from error
    return config, True


def _image(config: Any) -> tuple[Taken, ...]:
    size = getattr(config, "image_size", None) or 224
    height, width = (size, size) if isinstance(size, int) else tuple(size)
    return (Taken(shape=(getattr(config, "num_channels", 3), height, width)),)


def _text(name: str, config: Any) -> tuple[Taken, ...]:
    """What a text encoder takes; of a network that also takes something else it is said."""
    import transformers

    kind = transformers.MODEL_MAPPING.get(type(config), None)
    kind = kind[0] if isinstance(kind, (tuple, list)) else kind
    if kind is None or kind.main_input_name != "input_ids" or getattr(config, "is_encoder_decoder", False):
        raise BadInputError(
            f"--model: {name!r} ({type(config).__name__}) is neither an image classifier nor a text encoder"
        )
    config.use_cache = False
    longest = getattr(config, "max_position_embeddings", None) or N_TOKENS
    return (Taken(shape=(min(N_TOKENS, longest),), dtype="int64", high=config.vocab_size, name="input_ids"),)


def _normalisation(own: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the pixels that a model was trained on; ImageNet's where it does not say."""
    import transformers

    with contextlib.suppress(Exception):
        processor = transformers.AutoImageProcessor.from_pretrained(own)
        return tuple(processor.image_mean), tuple(processor.image_std)
    return IMAGENET_MEAN, IMAGENET_STD
