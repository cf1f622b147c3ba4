"""What every page shares: its command line, its sections, tables of cells, caveats.

May import ``figures``, ``cells``, ``stats``, ``read``, ``contract`` and ``text``.
"""
