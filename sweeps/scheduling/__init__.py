"""Which cell runs where, and what is recorded of it; free of Ray and torch.

May import ``choosing``, ``cell``, ``store`` and ``plan``.
"""
