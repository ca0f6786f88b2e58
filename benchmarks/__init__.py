"""`make bench`: every figure a ratio against something measured in the same run."""
