"""From profiles to decisions: health, rules, policy, arbitration, treatment. No I/O.

API, nightly run and replay call this same function; one contact is a batch of one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

import numpy as np
import polars as pl

from bandits.context import context_matrix
from churn.feature_rows import FeatureRows
from churn.features import matrix_of
from churn.hazards import Hazards
from engine.candidates import Proposals
from engine.columns import Bools, Floats
from engine.decide import Decisions, Moment, decide
from engine.features.spec import Scalar
from engine.features.tables import FeatureTables
from engine.profile import Profile, contacts_of, no_ai
from engine.treatment import TreatmentPolicy
from services.attributes import HEALTH_DROP, SCORE_BEFORE
from services.health_estimate import HealthEstimate, estimate_health
from services.playbook import Playbook
from services.propose import matched_one_by_one, matched_together, proposals_of
from services.treatment import BanditTreatment
from services.trial_treatment import TrialTreatment


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What was decided for each of n contacts, and on which estimate of their health.

    Attributes:
        profiles: as given.
        hazards: NaN where nothing is known of the contact.
        health_score: (n,) whole points 0 to 100, NaN where no part of it is known.
        context: what the treatment policy read, (n, d).
        decisions: the trace and the outcome.
    """

    profiles: Sequence[Profile]
    hazards: Hazards
    health_score: Floats
    context: Floats
    decisions: Decisions


def evaluate(
    playbook: Playbook,
    profiles: Sequence[Profile],
    tables: FeatureTables | None,
    *,
    as_of: datetime,
    trigger: str | None = None,
) -> Evaluated:
    """Decide for each profile at `as_of`.

    `tables` holds the profiles' features as columns, in their order; None for one contact, which
    goes through durable-rules instead of columns. `trigger` leaves out rules that are not checked
    on it; None checks all.
    """
    features = tables.contacts if tables is not None else columns_of(profiles, playbook)
    estimate = _unless_refused(estimate_health(playbook, features), profiles)
    hazards = estimate.hazards
    health = health_columns(estimate, _score_before(profiles, tables))
    matched = (
        matched_together(playbook.rules, tables, health, trigger)
        if tables is not None
        else matched_one_by_one(playbook.rules, profiles, health, trigger)
    )
    proposals = proposals_of(playbook.rules, profiles, matched)
    if any(profile.standing.household for profile in profiles):
        proposals = replace(proposals, carried=_carried(playbook, profiles, proposals))
    context = _context(features, hazards)
    decisions = decide(
        contacts_of(profiles, context, playbook.policy, hazards.hazard_90d),
        proposals,
        playbook.actions,
        playbook.policy,
        Moment(
            tenant=str(playbook.tenant_id),
            as_of=as_of,
            seed=playbook.seed,
        ),
        _treatment(playbook),
    )
    return Evaluated(profiles, hazards, estimate.score, context, decisions)


def _treatment(playbook: Playbook) -> TreatmentPolicy:
    bandits = BanditTreatment(playbook.state, playbook.actions, playbook.seed)
    if not playbook.trials:
        return bandits
    return TrialTreatment(bandits, playbook.trials, playbook.actions)


def _unless_refused(estimate: HealthEstimate, profiles: Sequence[Profile]) -> HealthEstimate:
    """Who refused machines that learn is not estimated: no rule reads their health."""
    refused = no_ai(profiles)
    if not refused.any():
        return estimate
    told = {each.name: getattr(estimate.hazards, each.name) for each in fields(estimate.hazards)}
    hazards = Hazards(**{name: np.where(refused, np.nan, v) for name, v in told.items()})
    return HealthEstimate(hazards, np.where(refused, np.nan, estimate.score))


def _carried(playbook: Playbook, profiles: Sequence[Profile], proposals: Proposals) -> Bools:
    """Which proposals another contact of the household carries."""
    ids = [action.id for action in playbook.actions.actions]
    pairs = zip(proposals.contact.tolist(), proposals.action.tolist(), strict=True)
    carried = [ids[action] in profiles[who].standing.household for who, action in pairs]
    return np.array(carried, dtype=np.bool_)


def columns_of(profiles: Sequence[Profile], playbook: Playbook) -> dict[str, Floats]:
    """Return the numeric features of the profiles as columns; what is not known is NaN."""
    names = [spec.name for spec in playbook.specs if spec.kind != "attribute"]
    values = [[_number(profile.row.get(name)) for profile in profiles] for name in names]
    matrix = np.array(values, dtype=np.float64).reshape(len(names), len(profiles))
    return dict(zip(names, matrix, strict=True))


def _number(value: Scalar) -> float:
    return math.nan if value is None or isinstance(value, str) else float(value)


def health_columns(estimate: HealthEstimate, before: Floats | None = None) -> dict[str, Floats]:
    """Return what rules read of health, by the names of fields; NaN where it is not known.

    `before` is the score of two weeks ago, by which its fall is told.
    """
    hazards, score = estimate.hazards, estimate.score
    return {
        "health.hazard_30d": hazards.hazard_30d,
        "health.hazard_60d": hazards.hazard_60d,
        "health.hazard_90d": hazards.hazard_90d,
        "health.score": score,
        HEALTH_DROP: np.full_like(score, np.nan) if before is None else before - score,
    }


def score_before(rows: Sequence[Mapping[str, Scalar]]) -> Floats:
    """Return the health score of two weeks ago of each row of features; NaN if not known."""
    return np.array([_number(row.get(SCORE_BEFORE.name)) for row in rows], dtype=np.float64)


def _score_before(profiles: Sequence[Profile], tables: FeatureTables | None) -> Floats:
    if tables is None or SCORE_BEFORE.name not in tables.contacts.columns:
        return score_before([profile.row for profile in profiles])
    column = tables.contacts[SCORE_BEFORE.name].cast(pl.Float64)
    return column.fill_null(math.nan).to_numpy()


def with_health(frame: pl.DataFrame, health: Mapping[str, Floats]) -> pl.DataFrame:
    """Return the frame with these columns; null where they are NaN."""
    return frame.with_columns(
        pl.Series(name, values, nan_to_null=True) for name, values in health.items()
    )


def _context(features: FeatureRows, hazards: Hazards) -> Floats:
    names = ("clicks_365d", "replies_365d", "messages_sent_365d", "days_since_last_visit")
    clicks, replies, sent, recency = matrix_of(features, names).T
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(sent > 0, (clicks + replies) / sent, 0.0)
    return context_matrix(hazards.hazard_60d, rate, recency)
