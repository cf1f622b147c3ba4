"""Ray's own processes on this machine: which of them are started, and what runs in place of a worker and of the agents.

May import what ``sweeps.launch`` may.
"""
