"""Releases of rules, backtests, and a number on events."""

from pathlib import Path

from alembic import op

from store.crm_access import THIS_TENANT

revision = "0004"
down_revision = "0003"

SQL = Path(__file__).parent.parent / "sql" / "0004_rule_releases.sql"
HISTORY = ("rule_releases", "rule_backtests")  # inserted and read, never changed


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL.read_text(encoding="utf-8"))
    for table in HISTORY:
        op.execute(f"ALTER TABLE keepwell.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE keepwell.{table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY keepwell_tenant ON keepwell.{table} TO keepwell_app "
            f"USING (tenant_id = {THIS_TENANT}) WITH CHECK (tenant_id = {THIS_TENANT})"
        )
        op.execute(f"GRANT SELECT, INSERT ON keepwell.{table} TO keepwell_app")
