"""The second tool: which operations work on a device (``op-coverage``, ``can-run``).

May import ``launch`` and what stands below it; nothing of a sweep imports it.
"""
