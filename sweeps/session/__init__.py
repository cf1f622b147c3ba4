"""One sweep from the user's view: from its options to the exit code.

May import everything in ``sweeps`` but ``coverage`` and ``commands``.
"""
