"""What is measured next: the grid, turns, a search, the largest batch; the only folder that imports Optuna.

May import ``cell``, ``store``, ``plan`` and what stands below them.
"""
