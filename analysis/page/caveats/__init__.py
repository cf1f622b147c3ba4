"""What a reader must know before believing a sweep's numbers, the heaviest first, with the cells that it concerns.

May import ``page``, ``cells``, ``stats``, ``contract`` and ``text``.
"""
