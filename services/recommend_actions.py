"""What the live rules would do for contacts, best first, whoever may be told today."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.decision_rows import decision_rows
from services.evaluate import evaluate
from services.playbook import Playbook
from services.profiles import PART, some_profiles

MOST = 3
_NIGHTLY = "nightly"


async def recommended_actions(
    connection: AsyncConnection, playbook: Playbook, moment: datetime, ids: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return up to three actions by contact id; an empty list where no rule proposes one.

    Of each: action, rule, purpose, subject, score_cents (expected worth over doing nothing) and
    `held_back`, the reason code for which it is not allowed now; null if nothing keeps it back.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for start in range(0, len(ids), PART):
        part = await some_profiles(connection, playbook, moment, ids[start : start + PART])
        evaluated = evaluate(playbook, part.profiles, part.tables, as_of=moment)
        recorded = decision_rows(playbook, evaluated, as_of=moment, trigger=_NIGHTLY, run_id=None)
        for each in recorded:
            found[str(each.row["contact_id"])] = [
                _told(candidate) for candidate in each.candidates if candidate["action"]
            ][:MOST]
    return found


def _told(candidate: dict[str, Any]) -> dict[str, Any]:
    lost = candidate["removed_by"] in {None, "arbitration"}
    return {
        **{name: candidate[name] for name in ("action", "rule", "purpose", "subject")},
        "score_cents": candidate["score_cents"],
        "held_back": None if lost else candidate["reason"],
    }
