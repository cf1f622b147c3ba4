"""Networks: where they come from, made ready for inference, and what they should answer.

May import torch, torchvision, ``workloads.base`` and ``workloads.precision``.
"""
