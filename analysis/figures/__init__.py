"""How figures look: lines with intervals, panels with one legend, colours.

May import ``cells``, ``stats``, ``contract`` and ``text``.
"""
