"""What a network is called with and what it answers, whatever the structure of either.

May import torch, ``workloads.base``, ``workloads.images`` and ``workloads.runtime``.
"""
