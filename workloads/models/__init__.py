"""Networks: where they come from, made ready for inference, and what they should answer.

May import torch, torchvision and ``workloads.base``.
"""
