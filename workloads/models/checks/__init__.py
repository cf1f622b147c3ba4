"""What is checked of models before a sweep begins, without a device.

May import what ``workloads.models`` may, and that.
"""
