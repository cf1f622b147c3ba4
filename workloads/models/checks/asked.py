"""What is checked of a command line's models before Ray starts, without a device."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workloads.models.checks.preflight import check_trainable
from workloads.models.origins.trial import Question, try_out
from workloads.models.sources import check_model
from workloads.runtime.late import late

if TYPE_CHECKING:
    from workloads.models import loading
else:
    loading = late("workloads.models.loading")

log = logging.getLogger(__name__)


def check_models(
    names: Sequence[str], weights: Path | None, asked: Sequence[str] = (), *, image_size: int | None = None,
    n_classes: int | None = None,
) -> None:  # fmt: skip
    """Check that models are known, take the user's weights and inputs, and can be trained where that is asked.

    What only running it can tell is tried in a process of its own. A head that the weights lack is told in the log.

    Args:
        names: See ``loading.build_model``.
        weights: The user's weights.
        asked: Words of ``--input``.
        image_size: Height and width of images to train on; None for inference.
        n_classes: Classes to train for.

    Raises:
        BadInputError: With the option, the value given and what is allowed or what is wrong with it.
    """
    sources = {name: check_model(name) for name in names}
    for name, source in sources.items():
        told = None
        if source.is_tried or asked:
            file = None if weights is None else str(weights)
            told = try_out(
                Question(name=name, asked=tuple(asked), weights=file, image_size=image_size, n_classes=n_classes)
            )
        else:
            if weights is not None:
                told = loading.check_weights(weights, [name], num_classes=n_classes)
            if image_size is not None and n_classes is not None:
                check_trainable(name, image_size, n_classes)
        if told is not None:
            log.warning("%s", told)
