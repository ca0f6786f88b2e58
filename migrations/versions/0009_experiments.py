"""Experiments on messages, notices about them, and how communication insights were made."""

from pathlib import Path

from alembic import op

from store.crm_access import THIS_TENANT

revision = "0009"
down_revision = "0008"

SQL = Path(__file__).parent.parent / "sql" / "0009_experiments.sql"
TABLES = {
    "keepwell.experiments": "SELECT, INSERT, UPDATE",
    "keepwell.experiment_notices": "SELECT, INSERT",
}


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL.read_text(encoding="utf-8"))
    for table, granted in TABLES.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY keepwell_tenant ON {table} TO keepwell_app "
            f"USING (tenant_id = {THIS_TENANT}) WITH CHECK (tenant_id = {THIS_TENANT})"
        )
        op.execute(f"GRANT {granted} ON {table} TO keepwell_app")
