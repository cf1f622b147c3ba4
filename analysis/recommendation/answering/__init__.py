"""The answer that a report begins with: sentences for one task, a table for several.

May import ``recommendation``, ``page``, ``cells``, ``stats``, ``contract`` and ``text``.
"""
