"""Published weights: asked for where the user wants some, with random ones in their place where none can be had."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from workloads.runtime.words import in_short

if TYPE_CHECKING:
    from torch import nn

DOWNLOAD_TIMEOUT_S = 10.0


def with_weights_or_without(name: str, pretrained: bool, make: Callable[[bool], nn.Module]) -> tuple[nn.Module, str]:
    """What ``make`` builds with weights, and where they are from; without, where none are asked for or can be had."""
    if pretrained:
        previous = socket.getdefaulttimeout()
        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_S)  # a machine without internet must not hang
        try:
            return make(True), "imagenet"
        except (OSError, RuntimeError, ValueError) as error:
            logging.getLogger(__name__).warning(
                "no weights for %s are available (%s); random ones are used", name, in_short(error)
            )
        finally:
            socket.setdefaulttimeout(previous)
    return make(False), "random"
