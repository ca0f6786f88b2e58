"""`keepwell` whose API has one route more: the least that a call can be that reads and writes.

It goes through the same key check, rate limit and transaction as every other route, reads one
contact by its key and writes one line of the audit trail, committed before the answer.
"""

from fastapi import APIRouter
from fastapi.responses import Response

import api.app
from api.answers import answer
from api.dependencies import ContactName, DecidesCall
from cli.main import app
from services.show_contact import show_contact
from store.audit import AuditLine, add_audit

router = APIRouter(prefix="/bench")


@router.post("/row/{contact}")
async def one_row(call: DecidesCall, contact: ContactName) -> Response:
    """Read a contact and write a line."""
    told = await show_contact(call.connection, call.tenant_id, contact)
    line = AuditLine("bench", "bench.row", "contact", str(told["id"]), {})
    await add_audit(call.connection, call.tenant_id, line)
    return answer(told)


if __name__ == "__main__":
    api.app.ROUTERS = (*api.app.ROUTERS, router)
    app()
