"""Images: photographs, labelled images, files of the user, and how they reach the device.

May import torch, torchvision and ``workloads.base``.
"""

from workloads.images.photographs import load_photographs, photograph_batch

__all__ = ["load_photographs", "photograph_batch"]
