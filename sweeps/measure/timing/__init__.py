"""How long things take: the clock and its proof, rounds, requests at a rate, copies.

May import ``device`` and ``analysis.contract``.
"""
