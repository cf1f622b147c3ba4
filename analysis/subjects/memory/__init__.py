"""The report on peaks, what fits, and leaks.

May import what ``analysis.subjects`` may.
"""
