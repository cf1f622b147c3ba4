"""The reports on one subject each; none imports another.

May import ``page``, ``figures``, ``cells``, ``stats``, ``read``, ``contract`` and ``text``.
"""
