"""Single operations, for coverage: where they come from and how they are called.

May import torch, torchvision and ``workloads.models``.
"""
