"""The tenant's policy in versions, budgets, households, and what the stages add to a decision."""

from pathlib import Path

from alembic import op

from store.crm_access import THIS_TENANT

revision = "0007"
down_revision = "0006"

SQL = Path(__file__).parent.parent / "sql" / "0007_policy.sql"
TABLES = {
    "keepwell.policy_versions": "SELECT, INSERT",
    "keepwell.budget_balances": "SELECT, INSERT, UPDATE",
    "keepwell.budget_reservations": "SELECT, INSERT, UPDATE, DELETE",
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
