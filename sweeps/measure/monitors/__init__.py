"""What is watched beside the timer: energy, memory, conditions, page faults, leaks.

May import ``timing``, ``device`` and ``analysis.contract``.
"""
