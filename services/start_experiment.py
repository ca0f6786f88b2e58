"""Start a planned experiment: from now on its arms are drawn by chance."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from services.show_experiments import experiment_document
from store.audit import AuditLine, add_audit
from store.experiments import ExperimentConflict, get_experiment, start_experiment


async def start_planned(
    connection: AsyncConnection, tenant_id: TenantId, name: str, *, by: str
) -> dict[str, Any]:
    """Start it; return its document.

    Raises:
        ExperimentNotFound: there is none of that name.
        ExperimentConflict: it is not planned any more, or another one runs on its action.
    """
    experiment = await get_experiment(connection, name)
    if not await start_experiment(connection, name):
        raise ExperimentConflict(
            f"The experiment '{name}' can't start: it is {experiment.state}"
            + (", or another one runs on its action." if experiment.state == "planned" else "."),
            hint="Stop the other one first, or plan a new one: a stopped experiment stays stopped.",
        )
    await add_audit(connection, tenant_id, AuditLine(by, "start", "experiment", name))
    return experiment_document(await get_experiment(connection, name))
