"""Tone of texts, the history that features read, and the life of health scores and models."""

from pathlib import Path

from alembic import op

from store.crm_access import THIS_TENANT

revision = "0012"
down_revision = "0011"

SQL = Path(__file__).parent.parent / "sql" / "0012_health.sql"
HISTORY = ("model_trials", "health_settings")  # inserted and read, never changed
CHANGING = ("activity_sentiment", "health_overrides", "drift_reports")


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL.read_text(encoding="utf-8"))
    for table in (*HISTORY, *CHANGING):
        op.execute(f"ALTER TABLE keepwell.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE keepwell.{table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY keepwell_tenant ON keepwell.{table} TO keepwell_app "
            f"USING (tenant_id = {THIS_TENANT}) WITH CHECK (tenant_id = {THIS_TENANT})"
        )
        rights = "SELECT, INSERT" if table in HISTORY else "SELECT, INSERT, UPDATE, DELETE"
        op.execute(f"GRANT {rights} ON keepwell.{table} TO keepwell_app")
    op.execute("GRANT SELECT ON keepwell.history TO keepwell_app")
