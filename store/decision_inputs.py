"""What one decision reads: the versions in force and the contact's own rows, in one round trip."""

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId
from store.direct import find_row
from store.playbooks import VERSIONS_SQL, Versions, versions_from
from store.profiles import CONTACT_SQL, contact_not_found, contact_values

# as JSON: the description of each column of a result costs the client more than its value
_INPUTS = (
    f"SELECT row_to_json(v)::text, row_to_json(c)::text "
    f"FROM ({VERSIONS_SQL}) v LEFT JOIN LATERAL ({CONTACT_SQL}) c ON true"
)


async def get_decision_inputs(
    connection: AsyncConnection, contact_id: ContactId, as_of: datetime
) -> tuple[Versions, dict[str, Any]]:
    """Return what `get_versions` and `get_profile_row` return.

    Raises:
        ContactNotFound: unknown, or another tenant's.
        TenantNotFound: the CRM has deleted the tenant meanwhile.
    """
    row = await find_row(connection, _INPUTS, contact_values(contact_id, as_of))
    versions = versions_from(None if row is None else row[0], as_of)
    if row is None or row[1] is None:
        raise contact_not_found(str(contact_id))
    return versions, orjson.loads(row[1])
