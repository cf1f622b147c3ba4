"""One cell, from set-up to row, inside its worker process.

May import ``store``, ``plan``, ``measure``, ``workloads`` and ``analysis.contract``; not Ray.
"""
