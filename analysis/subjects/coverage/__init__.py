"""The report on which operations work on a device.

May import what ``analysis.subjects`` may.
"""
