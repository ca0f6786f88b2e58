"""What the product expects of the CRM's tables: which there are and which columns it reads."""

from collections.abc import Mapping

from sqlalchemy import Connection, text

from engine.errors import SchemaMismatch

# table -> the column that carries the tenant
CRM_TABLES: Mapping[str, str] = {
    "tenants": "id",
    "tenant_users": "tenant_id",
    "crm_accounts": "tenant_id",
    "crm_contacts": "tenant_id",
    "crm_deals": "tenant_id",
    "crm_activities": "tenant_id",
    "crm_campaigns": "tenant_id",
    "crm_campaign_memberships": "tenant_id",
    "crm_pipeline_stages": "tenant_id",
    "crm_field_definitions": "tenant_id",
    "crm_lead_sources": "tenant_id",
    "notifications": "tenant_id",
    "activity_feed": "tenant_id",
    "audit_log": "tenant_id",
    "system_events": "tenant_id",
}

# what the product writes itself
APP_MAY_WRITE = (
    "tenants",
    "crm_accounts",
    "crm_contacts",
    "crm_deals",
    "crm_activities",
    "crm_campaigns",
    "crm_campaign_memberships",
    "notifications",
)
# what the CRM's own triggers may add on our behalf
APP_MAY_ADD = ("audit_log", "activity_feed", "system_events")

_TEXT = "character varying"
_TIME = "timestamp without time zone"

# the columns the product reads or writes, with the type it relies on
COLUMNS_USED: Mapping[str, Mapping[str, str]] = {
    "tenants": {
        "id": "uuid",
        "name": _TEXT,
        "slug": _TEXT,
        "status": _TEXT,
        "industry": _TEXT,
        "created_at": _TIME,
    },
    "tenant_users": {"tenant_id": "uuid", "user_id": "uuid", "role": _TEXT, "status": _TEXT},
    "crm_accounts": {
        "id": "uuid",
        "tenant_id": "uuid",
        "name": _TEXT,
        "legal_name": _TEXT,
        "website": _TEXT,
        "phone": _TEXT,
        "email": _TEXT,
        "address_line1": _TEXT,
        "address_line2": _TEXT,
        "city": _TEXT,
        "state": _TEXT,
        "postal_code": _TEXT,
        "country": _TEXT,
        "industry": _TEXT,
        "business_type": _TEXT,
        "custom_fields": "jsonb",
        "created_at": _TIME,
    },
    "crm_contacts": {
        "id": "uuid",
        "tenant_id": "uuid",
        "account_id": "uuid",
        "first_name": _TEXT,
        "last_name": _TEXT,
        "full_name": _TEXT,
        "email": _TEXT,
        "phone": _TEXT,
        "mobile_phone": _TEXT,
        "job_title": _TEXT,
        "department": _TEXT,
        "preferred_contact_method": _TEXT,
        "timezone": _TEXT,
        "do_not_call": "boolean",
        "do_not_email": "boolean",
        "do_not_sms": "boolean",
        "lead_source": _TEXT,
        "lead_status": _TEXT,
        "custom_fields": "jsonb",
        "created_at": _TIME,
    },
    "crm_deals": {
        "id": "uuid",
        "tenant_id": "uuid",
        "account_id": "uuid",
        "contact_id": "uuid",
        "name": _TEXT,
        "description": "text",
        "deal_value": "numeric",
        "currency": _TEXT,
        "stage": _TEXT,
        "probability": "integer",
        "expected_close_date": "date",
        "actual_close_date": "date",
        "deal_type": _TEXT,
        "lead_source": _TEXT,
        "custom_fields": "jsonb",
        "created_at": _TIME,
    },
    "crm_activities": {
        "id": "uuid",
        "tenant_id": "uuid",
        "account_id": "uuid",
        "contact_id": "uuid",
        "deal_id": "uuid",
        "activity_type": _TEXT,
        "activity_subtype": _TEXT,
        "subject": _TEXT,
        "description": "text",
        "direction": _TEXT,
        "channel": _TEXT,
        "due_date": _TIME,
        "completed_at": _TIME,
        "is_completed": "boolean",
        "external_id": _TEXT,
        "integration_source": _TEXT,
        "integration_data": "jsonb",
        "created_at": _TIME,
        "updated_at": _TIME,
    },
    "crm_campaigns": {
        "id": "uuid",
        "tenant_id": "uuid",
        "name": _TEXT,
        "description": "text",
        "campaign_type": _TEXT,
        "target_audience": "jsonb",
        "content_template": "jsonb",
        "status": _TEXT,
        "scheduled_start": _TIME,
        "actual_start": _TIME,
        "scheduled_end": _TIME,
        "actual_end": _TIME,
        "total_recipients": "integer",
        "emails_sent": "integer",
        "emails_delivered": "integer",
        "emails_opened": "integer",
        "emails_clicked": "integer",
        "sms_sent": "integer",
        "sms_delivered": "integer",
        "created_at": _TIME,
    },
    "crm_campaign_memberships": {
        "tenant_id": "uuid",
        "campaign_id": "uuid",
        "contact_id": "uuid",
        "status": _TEXT,
        "joined_at": _TIME,
        "emails_sent": "integer",
        "emails_opened": "integer",
        "emails_clicked": "integer",
        "sms_sent": "integer",
        "last_interaction_at": _TIME,
    },
    "notifications": {
        "tenant_id": "uuid",
        "user_id": "uuid",
        "title": _TEXT,
        "message": "text",
        "notification_type": _TEXT,
        "entity_type": _TEXT,
    },
}


def crm_tables_present(connection: Connection) -> bool:
    """Tell whether the database already holds the CRM.

    Raises:
        SchemaMismatch: some of its tables exist and others don't: neither case of the migration.
    """
    found = set(
        connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ).scalars()
    )
    present = sorted(found & CRM_TABLES.keys())
    missing = sorted(CRM_TABLES.keys() - found)
    if present and missing:
        raise SchemaMismatch(
            f"The database holds the CRM tables {', '.join(present)} but not {', '.join(missing)}.",
            hint="Restore the missing tables, or point to an empty database to have all created.",
        )
    return bool(present)


def check_adopted(connection: Connection) -> None:
    """Check each column that the product reads in an adopted CRM.

    Raises:
        SchemaMismatch: names table, column, expected and found of every difference at once.
    """
    rows = connection.execute(
        text(
            "SELECT c.relname, a.attname, format_type(a.atttypid, NULL) "
            "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
            "JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'public' AND a.attnum > 0 AND NOT a.attisdropped"
        )
    ).all()
    found = {(table, column): kind for table, column, kind in rows}
    faults = [
        f"{table}.{column}: expected {expected}, found {found.get((table, column), 'no column')}"
        for table, columns in COLUMNS_USED.items()
        for column, expected in columns.items()
        if found.get((table, column)) != expected
    ]
    if faults:
        raise SchemaMismatch(
            "The CRM's tables are not as expected: " + "; ".join(faults) + ".",
            hint="Nothing was changed. Mend the columns, then run 'keepwell db upgrade' again.",
        )
