"""PostgreSQL: each query runs in a transaction of one tenant, under row-level security."""
