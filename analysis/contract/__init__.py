"""What the writer of the tables and their readers must agree on; ``sweeps`` imports it too.

May import nothing.
"""
