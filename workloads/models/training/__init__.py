"""A network in training: its optimiser, its batch normalisation, and its first steps beside a reference's.

May import what ``workloads.models`` may, and that.
"""
