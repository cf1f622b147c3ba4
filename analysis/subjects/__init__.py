"""The reports on one subject each; none imports another.

May import ``page``, ``figures``, ``cells``, ``stats``, ``read``, ``contract`` and ``text``.
"""

import analysis.figures  # noqa: F401 # before anything imports matplotlib, which MPLBACKEND can make fail
