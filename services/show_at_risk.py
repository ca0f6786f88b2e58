"""Who may leave: contacts of the newest analysis, by falling risk, page by page."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from churn.health_policy import LEVELS
from engine.errors import InvalidInput
from store.health_scores import RiskPage, find_newest_run, list_risk_page

_SHOWN = (
    "contact_id",
    "account_id",
    "overall_health_score",
    "churn_risk_level",
    "hazard_30d",
    "hazard_60d",
    "hazard_90d",
    "hazard_120d",
    "predicted_churn_date",
    "churn_date_from",
    "churn_date_to",
    "churn_date_share",
    "predicted_ltv",
    "predicted_ltv_low",
    "predicted_ltv_high",
    "confidence_level",
    "risk_factors",
    "recommended_actions",
    "override",
    "model_version",
    "health_tier",
)


@dataclass(frozen=True, slots=True)
class AtRiskAsked:
    """What a caller asks for.

    Attributes:
        levels: empty: medium and above.
        least_risk: P(churn within 90 days) from which on.
        with_left: also those who have left by definition.
        cursor: of the page before.
    """

    levels: tuple[str, ...] = ()
    least_risk: float = 0.0
    with_left: bool = False
    limit: int = 50
    cursor: str | None = None


async def show_at_risk(connection: AsyncConnection, asked: AtRiskAsked) -> dict[str, Any]:
    """Return a page of contacts by falling full-precision risk, and the cursor of the next.

    All pages are of one analysis, however many come meanwhile. `as_of` is null and the list empty
    before the first analysis.

    Raises:
        InvalidInput: an unknown level, or a cursor that is none of ours.
    """
    unknown = set(asked.levels) - set(LEVELS)
    if unknown:
        raise InvalidInput(
            f"There is no risk level {', '.join(sorted(unknown))}.", hint=f"Levels: {LEVELS}."
        )
    newest = await find_newest_run(connection)
    if newest is None:
        return {"as_of": None, "contacts": [], "next": None}
    page = RiskPage(
        newest,
        levels=asked.levels or LEVELS[1:],
        least_risk=asked.least_risk,
        with_left=asked.with_left,
        limit=asked.limit + 1,
    )
    if asked.cursor is not None:
        as_of, after = _read_cursor(asked.cursor)
        page = replace(page, as_of=as_of, after=after)
    rows = await list_risk_page(connection, page)
    shown = rows[: asked.limit]
    return {
        "as_of": page.as_of.isoformat(),
        "contacts": [{name: row[name] for name in _SHOWN} for row in shown],
        "next": _cursor(page.as_of, shown[-1]) if len(rows) > asked.limit else None,
    }


def _cursor(as_of: datetime, last: dict[str, Any]) -> str:
    told = [as_of.isoformat(), last["hazard_90d"], last["contact_id"]]
    return urlsafe_b64encode(orjson.dumps(told)).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, tuple[float, str]]:
    try:
        as_of, risk, contact = orjson.loads(
            urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        )
        moment, uuid = datetime.fromisoformat(as_of), UUID(contact)
        if moment.tzinfo is None:
            raise ValueError("without a zone")
        return moment, (float(risk), str(uuid))
    except (ValueError, TypeError) as error:
        raise InvalidInput(
            "The cursor is none that a page gave.", hint="Begin without one."
        ) from error
