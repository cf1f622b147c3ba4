"""The report on joules per item, and speed against energy.

May import what ``analysis.subjects`` may.
"""
