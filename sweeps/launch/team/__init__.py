"""A cell on several devices: an actor of Ray for each, in the trial's own placement group, watched from outside of all.

May import what ``sweeps.launch`` may.
"""
