"""The product's own tables: events, decisions, outbox, outcomes, consent, models."""

from pathlib import Path

from alembic import op

from store.crm_access import THIS_TENANT

revision = "0003"
down_revision = "0002"

SQL = Path(__file__).parent.parent / "sql" / "0003_product.sql"
HISTORY = ("decisions", "candidates", "audit_trail", "consents")  # inserted and read, never changed
CHANGING = (
    "tenant_settings",
    "external_ids",
    "imports",
    "events",
    "rule_sets",
    "models",
    "policy_states",
    "runs",
    "sends",
    "attempts",
    "outcomes",
    "rewards",
    "api_keys",
    "idempotency_keys",
)
# tables that the functions behind narrow doors read for all tenants, as their owner
SCANNED_BY_OWNER = ("sends", "rewards")


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL.read_text(encoding="utf-8"))
    op.execute("GRANT USAGE ON SCHEMA keepwell TO keepwell_app")
    for table in (*HISTORY, *CHANGING):
        op.execute(f"ALTER TABLE keepwell.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE keepwell.{table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY keepwell_tenant ON keepwell.{table} TO keepwell_app "
            f"USING (tenant_id = {THIS_TENANT}) WITH CHECK (tenant_id = {THIS_TENANT})"
        )
        rights = "SELECT, INSERT" if table in HISTORY else "SELECT, INSERT, UPDATE, DELETE"
        op.execute(f"GRANT {rights} ON keepwell.{table} TO keepwell_app")
    for table in SCANNED_BY_OWNER:
        op.execute(
            f"CREATE POLICY keepwell_owner_reads ON keepwell.{table} FOR SELECT "
            "TO CURRENT_USER USING (true)"
        )
    op.execute("GRANT SELECT ON keepwell.schema_version TO keepwell_app")
    for function in (
        "tenant_id_for(text)",
        "tenants_with_due_sends()",
        "tenants_to_learn()",
        "tenant_ids()",
    ):
        op.execute(f"REVOKE ALL ON FUNCTION keepwell.{function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION keepwell.{function} TO keepwell_app")
