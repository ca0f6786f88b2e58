"""Alembic's entry: runs on the connection that `store.upgrade` hands over, in one transaction."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    version_table="schema_version",
    version_table_schema="keepwell",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
