"""What runs inside the child process of a coverage sweep: one operation at a time, and what came of it.

May import ``measure`` and ``workloads``.
"""
