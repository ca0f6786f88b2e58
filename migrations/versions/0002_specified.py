"""The five tables that the customer specified, under row-level security."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"

SQL = Path(__file__).parent.parent / "sql" / "0002_specified.sql"
TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"
TABLES = (
    "customer_health_scores",
    "customer_journey_stages",
    "customer_journey_progress",
    "retention_campaigns",
    "communication_insights",
)


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL.read_text(encoding="utf-8"))
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY keepwell_tenant ON {table} TO keepwell_app "
            f"USING (tenant_id = {TENANT}) WITH CHECK (tenant_id = {TENANT})"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO keepwell_app")
