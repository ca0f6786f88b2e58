"""The outside: one sender per channel, each with the same verb and the same three ways to fail."""
