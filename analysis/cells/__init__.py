"""What a row of the trials table is, and how cells are named, grouped and judged.

May import ``stats``, ``contract`` and ``text``.
"""
