"""Campaigns of the CRM as rules, texts of the tenant's own, and draws of groups by stratum."""

from pathlib import Path

from alembic import op

from store.crm_access import THIS_TENANT

revision = "0014"
down_revision = "0013"

SQL = Path(__file__).parent.parent / "sql" / "0014_campaigns_and_strata.sql"
FIXED = ("message_texts", "group_draws", "audit_findings")  # inserted and read, never changed


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL.read_text(encoding="utf-8"))
    for table in ("campaigns", *FIXED):
        op.execute(f"ALTER TABLE keepwell.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE keepwell.{table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY keepwell_tenant ON keepwell.{table} TO keepwell_app "
            f"USING (tenant_id = {THIS_TENANT}) WITH CHECK (tenant_id = {THIS_TENANT})"
        )
        rights = "SELECT, INSERT" if table in FIXED else "SELECT, INSERT, UPDATE"
        op.execute(f"GRANT {rights} ON keepwell.{table} TO keepwell_app")
    op.execute("GRANT INSERT, UPDATE ON crm_campaigns TO keepwell_app")
