"""The samples behind the figures: over time, as a distribution, and how alike neighbours are; the order of the cells.

May import what ``analysis.subjects`` may.
"""
