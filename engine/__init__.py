"""The decision core: pure functions over columns. No I/O, no clock, no global randomness.

Read `decide.py` first; it reads from top to bottom like the policy itself.
"""
