"""Image pipelines: torchvision's steps as they are, and written to be fused.

May import torch, torchvision and ``workloads.images``.
"""
