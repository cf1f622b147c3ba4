"""Values with their intervals: quantiles, resampling, significance.

May import ``contract`` and ``text``.
"""
