"""A synthetic business with known truth: for the demo, tests and measurement."""
