"""Imports torchvision without torch's compiler when it is imported itself: a name for lists of what to import ahead."""

from workloads.runtime.without_compiler import import_torchvision

import_torchvision()
