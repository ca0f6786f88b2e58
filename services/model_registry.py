"""The registry of a tenant's churn models: what there is, what was compared, who serves."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import Conflict, InvalidInput, NotFound
from engine.ids import TenantId
from services.train_churn import KIND
from store.audit import AuditLine, add_audit
from store.models import (
    find_champion,
    find_champion_before,
    list_models,
    list_trials,
    make_champion,
)

MIN_DIGEST = 6


class ModelNotFound(NotFound):
    """The tenant has no model with this digest."""

    code = "model_not_found"


class ModelNotBetter(Conflict):
    """No comparison says that the model is better than the one in force."""

    code = "model_not_better"


async def show_models(connection: AsyncConnection) -> list[dict[str, Any]]:
    """Return all models, newest first, with their window, metrics and status."""
    return await list_models(connection)


async def show_model(connection: AsyncConnection, digest: str) -> dict[str, Any]:
    """Return one model with its features, calibration and comparisons.

    `digest` may be cut to its first six characters or more, where that names one model.

    Raises:
        ModelNotFound, InvalidInput: none begins so, or several do.
    """
    model = await _found(connection, digest)
    trials = await list_trials(connection, model["digest"])
    return {**model, "trials": [{**t, "made_at": t["made_at"].isoformat()} for t in trials]}


async def promote_model(
    connection: AsyncConnection,
    tenant_id: TenantId,
    digest: str,
    *,
    by: str,
    reason: str = "",
    anyway: bool = False,
) -> dict[str, Any]:
    """Make a model the champion, if its last comparison with the present one says it is better.

    `anyway` does it all the same; the reason then stands in the audit trail.

    Raises:
        ModelNotFound, InvalidInput: see `show_model`; or `anyway` without a reason.
        ModelNotBetter: it was not compared with the present champion, or is not better.
    """
    model = await _found(connection, digest)
    champion = await find_champion(connection, KIND)
    if model["digest"] == champion:
        return {"digest": champion, "status": "champion", "instead_of": None}
    if anyway and not reason.strip():
        raise InvalidInput("A model that is not better needs a reason to be promoted.")
    if not anyway:
        await _check_better(connection, model["digest"], champion)
    await make_champion(connection, model["digest"], KIND)
    detail = {"instead_of": champion, "anyway": anyway, "reason": reason}
    line = AuditLine(by, "promote", "model", model["digest"], detail)
    await add_audit(connection, tenant_id, line)
    return {"digest": model["digest"], "status": "champion", "instead_of": champion}


async def roll_back_model(
    connection: AsyncConnection, tenant_id: TenantId, *, by: str, reason: str = ""
) -> dict[str, Any]:
    """Put the champion before the present one in force again.

    The one taken back becomes a challenger: a second rollback goes further back, not forth again.

    Raises:
        ModelNotFound: there was none before.
    """
    champion = await find_champion(connection, KIND)
    before = await find_champion_before(connection, KIND)
    if before is None:
        raise ModelNotFound(
            "There is no champion before the present one.",
            hint="Retire it by promoting another model, or train anew.",
        )
    await make_champion(connection, before, KIND, before_becomes="challenger")
    detail = {"instead_of": champion, "reason": reason}
    await add_audit(connection, tenant_id, AuditLine(by, "roll_back", "model", before, detail))
    return {"digest": before, "status": "champion", "instead_of": champion}


async def _found(connection: AsyncConnection, digest: str) -> dict[str, Any]:
    if len(digest) < MIN_DIGEST:
        raise InvalidInput(f"A digest has at least {MIN_DIGEST} characters, not '{digest}'.")
    found = await list_models(connection, digest_begins=digest.lower(), limit=2)
    if not found:
        raise ModelNotFound(
            f"There is no model '{digest}'.", hint="'keepwell models list' names them."
        )
    if len(found) > 1:
        raise InvalidInput(f"Several models begin with '{digest}'.", hint="Give more of it.")
    return found[0]


async def _check_better(connection: AsyncConnection, digest: str, champion: str | None) -> None:
    trials = [t for t in await list_trials(connection, digest) if t["champion"] == champion]
    if not trials:
        raise ModelNotBetter(
            f"The model {digest[:12]} was never compared with the present champion.",
            hint="Train again to compare, or give a reason and say 'anyway'.",
        )
    if not trials[0]["promoted"]:
        raise ModelNotBetter(
            f"The model {digest[:12]} is not better: {trials[0]['result']['reason']}.",
            hint="Give a reason and say 'anyway' to promote it all the same.",
        )
