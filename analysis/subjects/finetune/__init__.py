"""The report on accuracy over time, images and joules.

May import what ``analysis.subjects`` may.
"""
