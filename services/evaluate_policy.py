"""What another treatment policy would have earned, judged by a tenant's own decisions.

One factor at a time: the policy in question draws that factor's arm, everything else stays as it
was logged. That is what a log can answer with bounded weights; combinations of factors it can't.
"""

from typing import Any

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from bandits.context import CONTEXT_FEATURES, known
from bandits.off_policy import Estimate, Log, cross_fitted, evaluate, minus_logged
from bandits.proposed import proposed
from engine.errors import InvalidInput
from store.logged_decisions import list_logged_decisions

FACTORS = ("channel", "slot")


async def evaluate_policy(
    connection: AsyncConnection, *, factor: str, policy: str, settled_days: int = 30
) -> dict[str, Any]:
    """Judge a policy for one factor by the decisions that are at least `settled_days` old.

    See `bandits.proposed` for the policies and `bandits.off_policy.Evaluation` for the figures.
    `dr_minus_logged` is what the policy would have earned above what was earned.

    Raises:
        InvalidInput: an unknown factor, policy or arm; or no decision can be used.
    """
    if factor not in FACTORS:
        raise InvalidInput(f"There is no factor {factor!r}.", hint=f"One of {', '.join(FACTORS)}.")
    rows = await list_logged_decisions(connection, settled_days=settled_days)
    if not rows:
        raise InvalidInput(
            f"No decision sent {settled_days} days ago or earlier has its allowed arms logged.",
            hint="Decide, send and wait for the answers; or ask for a shorter --settled-days.",
        )
    taken = [row.channel if factor == "channel" else row.slot for row in rows]
    lists = [row.treatment["allowed"][factor] for row in rows]
    arms = tuple(sorted({*taken, *(arm for listed in lists for arm in listed)}))
    place = {arm: k for k, arm in enumerate(arms)}
    allowed = np.zeros((len(rows), len(arms)), dtype=np.bool_)
    for n, listed in enumerate(lists):
        allowed[n, [place[arm] for arm in listed]] = True
    contexts = known(np.array([row.treatment["context"] for row in rows], dtype=np.float64))
    _, contact = np.unique([str(row.contact_id) for row in rows], return_inverse=True)
    log = Log(
        actions=np.array([place[arm] for arm in taken], dtype=np.int64),
        rewards=np.array([row.reward for row in rows]),
        probability=np.array([row.treatment[f"{factor}_probability"] for row in rows]),
        arms=len(arms),
        clusters=contact.astype(np.int64),
    )
    shares = proposed(policy, log, arms, contexts, allowed)
    model = cross_fitted(contexts, log, np.arange(len(CONTEXT_FEATURES)))
    found = evaluate(log, shares, model)
    logged = np.bincount(log.actions, minlength=len(arms)) / len(rows)
    return {
        "factor": factor,
        "policy": policy,
        "verdict": found.verdict,
        "reasons": list(found.reasons),
        "decisions": found.rows,
        "contacts": int(contact.max()) + 1,
        "effective_sample": found.effective_sample,
        "mean_weight": found.mean_weight,
        "mean_weight_error": found.mean_weight_error,
        "largest_weight": found.largest_weight,
        "missing": found.missing,
        "logged": _told(found.logged),
        "dr": _told(found.dr),
        "snips": _told(found.snips),
        "ips": _told(found.ips),
        "switch": _told(found.switch),
        "dr_minus_logged": _told(minus_logged(log, shares, model)),
        "arms": {
            arm: {"logged": float(logged[k]), "policy": float(shares[:, k].mean())}
            for arm, k in place.items()
        },
    }


def _told(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
