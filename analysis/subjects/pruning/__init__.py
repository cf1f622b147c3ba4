"""The report on what was pruned and what it saved, and what searches found.

May import what ``analysis.subjects`` may.
"""
