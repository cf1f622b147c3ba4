"""The tables on disk: written so that nothing measured is lost, whatever dies.

May import ``plan``, ``measure`` and ``analysis.contract``.
"""
