"""Values with their intervals: quantiles, resampling, significance, Pareto fronts.

May import ``contract`` and ``text``.
"""
