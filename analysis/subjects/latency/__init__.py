"""The report on percentiles, load, and copies.

May import what ``analysis.subjects`` may.
"""
