"""Use cases: one verb, one file: load, call the core, record; the edge owns the transaction."""
