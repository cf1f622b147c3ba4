"""Which setting to use: ``report.md``.

May import ``page``, ``figures``, ``cells``, ``stats``, ``read``, ``contract`` and ``text``.
"""

import analysis.figures  # noqa: F401 # before anything imports matplotlib, which MPLBACKEND can make fail
