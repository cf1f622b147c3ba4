"""What runs a network in the place of PyTorch: one file for each runtime, behind ``base.Session``.

May import torch, ``workloads.base``, ``workloads.precision``, ``workloads.models.calls``,
``workloads.models.origins.running`` and ``workloads.runtime``; the runtimes themselves late.
"""
