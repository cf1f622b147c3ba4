"""Sides against each other, cell by cell: ``compare.md``.

May import ``page``, ``figures``, ``cells``, ``stats``, ``read``, ``contract`` and ``text``.
"""
