"""What each axis buys: a setting against the plain one, in pairs of cells that are alike in all else.

May import ``page``, ``figures``, ``cells``, ``stats``, ``contract`` and ``text``.
"""
