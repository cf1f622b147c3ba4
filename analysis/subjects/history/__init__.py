"""Many sweeps over time: which there are, and what became faster or slower from which version on.

May import ``page``, ``figures``, ``cells``, ``stats``, ``read``, ``contract`` and ``text``.
"""
