"""An embedded PostgreSQL and Valkey for local use, the demo and the tests."""
