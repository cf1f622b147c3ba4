"""The report on throughput and latency over the batch size.

May import what ``analysis.subjects`` may.
"""
