"""The report on achieved FLOP/s and bytes/s against the ceilings.

May import what ``analysis.subjects`` may.
"""
