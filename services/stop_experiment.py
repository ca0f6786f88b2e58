"""Stop a running experiment by hand; what it found until then stays on record."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from services.show_experiments import experiment_document
from store.audit import AuditLine, add_audit
from store.experiments import ExperimentConflict, get_experiment, stop_experiment


async def stop_by_hand(
    connection: AsyncConnection, tenant_id: TenantId, name: str, *, by: str, reason: str
) -> dict[str, Any]:
    """Stop it; return its document.

    Raises:
        ExperimentNotFound: there is none of that name.
        ExperimentConflict: it does not run.
    """
    experiment = await get_experiment(connection, name)
    stopped = await stop_experiment(
        connection, name, verdict="stopped_by_hand", arm="", reason=reason
    )
    if not stopped:
        raise ExperimentConflict(
            f"The experiment '{name}' does not run: it is {experiment.state}.",
            hint="'keepwell experiments show' says how it ended.",
        )
    detail = {"reason": reason}
    await add_audit(connection, tenant_id, AuditLine(by, "stop", "experiment", name, detail))
    return experiment_document(await get_experiment(connection, name))
