"""Which setting to use: ``report.md``.

May import ``page``, ``figures``, ``cells``, ``stats``, ``read``, ``contract`` and ``text``.
"""
