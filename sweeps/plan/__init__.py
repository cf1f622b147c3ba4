"""What is asked: the sweep, its cells, how they are measured, and the options that say so.

May import ``measure``, ``workloads`` and ``analysis.contract``.
"""
