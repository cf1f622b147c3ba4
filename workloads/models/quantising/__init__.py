"""Networks in int8 and fp8 for inference, by torchao, which is imported when a cell asks for it and not before.

May import ``workloads.precision``, ``workloads.base``, ``workloads.runtime`` and ``workloads.models.calls``.
"""
