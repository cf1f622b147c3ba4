"""The report on each precision against fp32.

May import what ``analysis.subjects`` may.
"""
