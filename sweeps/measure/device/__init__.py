"""What a device is, what it can do, and what it counts.

May import ``workloads``.
"""
