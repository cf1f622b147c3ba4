"""Parquet to frames.

May import ``contract`` and ``text``.
"""
