"""The same decision as an engineer writes it first, from the manuals of three libraries.

One contact at a time: LightGBM's Booster.predict on the contact's rows, durable_rules by its public
interface (one fact, asserted and retracted), plain Python for consent and the best value, and
MABWiser's predict for channel, slot and variant. Nothing here is slower than it has to be: one
booster call per contact, one ruleset, bandits fitted once. It keeps to the part of durable_rules
that does not crash: one session, flat conditions.
"""

import math
import operator
from collections.abc import Callable, Mapping
from functools import reduce
from itertools import count, product
from typing import Any

import lightgbm as lgb
import numpy as np
from durable import lang
from durable.engine import MessageNotHandledException
from mabwiser.mab import MAB, LearningPolicy

from bandits.selection import VARIANT_PREFIX
from churn.definition import PERIOD_DAYS, PERIODS, SILENCE, rhythm
from churn.design_matrix import period_rows
from engine.candidates import CONSENT_GRANTED
from engine.columns import Floats
from engine.features.spec import CONTACT
from engine.profile import Profile
from rules.expression import Any as AnyOf
from rules.expression import Leaf, Tree
from services.playbook import Playbook

_rulesets = (f"obvious{number}" for number in count())  # a process defines a name once
_SEED = 7
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class ObviousLoop:
    """Decides for one contact; the ruleset is defined once."""

    def __init__(self, playbook: Playbook) -> None:
        if playbook.model is None:
            raise RuntimeError("There is no model to compare.")
        self._playbook = playbook
        self._ruleset = next(_rulesets)
        self._trained = playbook.model.trained
        self._booster = lgb.Booster(model_str=self._trained.booster)
        self._names = playbook.model.feature_names
        self._fields: dict[str, str] = {}
        self._found: set[str] = set()
        self._define_rules()
        self._bandits = {
            name: _fitted(factor.arms) for name, factor in playbook.state.factors.items()
        }

    def decide(self, row: Mapping[str, Any], profile: Profile) -> str | None:
        """Return the action, None for nothing; channel, slot and variant are chosen too."""
        hazards = self._hazards(row)
        known = {**row, **_health(hazards)}
        matched = self._matched(known, CONTACT)
        for subject in profile.subjects:  # one more fact for each contract, appointment, plan
            matched |= self._matched({**known, **subject.row}, subject.kind)
        best, best_score = None, 0.0
        for action in self._playbook.actions.actions:
            if action.shadow or action.rule not in matched:
                continue
            costs = [
                action.cost_cents.get(channel, 0.0)
                for channel in action.channels
                if channel in profile.reach
                and profile.consent.get(f"{channel}:{action.purpose}") == CONSENT_GRANTED
            ]
            if costs:
                score = (action.if_contacted - action.if_left) * action.value_cents - min(costs)
                if score > best_score:
                    best, best_score = action.id, score
        if best is not None:
            recency = min(row.get("days_since_last_visit") or 0.0, 365.0) / 365.0
            context = np.array([[1.0, hazards[1], 0.0, recency]])
            for factor in ("channel", "slot", VARIANT_PREFIX + best):
                self._bandits[factor].predict(context)
        return best

    def _hazards(self, row: Mapping[str, Any]) -> list[float]:
        """P(churn) within 30, 60, 90, 120 days; NaN without a visit, 1 past the limit."""
        values = [[math.nan if (v := row.get(n)) is None else float(v)] for n in self._names]
        columns = dict(zip(self._names, np.array(values), strict=True))
        standing = rhythm(
            columns,
            self._trained.definition,
            tenant_median_days=self._trained.tenant_median_days,
        )
        left = float(standing.days_to_limit[0])
        if math.isnan(left) or left <= 0:
            return [left if math.isnan(left) else 1.0] * PERIODS
        periods = [p for p in range(PERIODS) if left <= PERIOD_DAYS * (p + 1)]
        staying, hazards = 1.0, []
        odds = self._log_odds(columns, standing.days_to_limit, periods)
        fit = self._trained.calibration
        for period in range(PERIODS):
            if period in odds:
                chance = 1 / (1 + math.exp(-(fit.slope * odds[period] + fit.intercept)))
                staying *= 1 - chance
            hazards.append(round(1 - staying, 12))
        return hazards

    def _log_odds(
        self, columns: Mapping[str, Floats], days_to_limit: Floats, periods: list[int]
    ) -> dict[int, float]:
        if not periods:
            return {}
        matrix = np.array([[columns[name][0] for name in self._names]])
        rows = period_rows(matrix, columns[SILENCE], days_to_limit)[periods, 0]
        predicted = self._booster.predict(rows, raw_score=True, num_threads=1)
        return dict(zip(periods, np.asarray(predicted).tolist(), strict=True))

    def _define_rules(self) -> None:
        with lang.ruleset(self._ruleset):
            for number, expression in enumerate(self._playbook.rules.expressions):
                self._add(f"w{number}", expression.applies)
                if expression.blocked is not None:
                    self._add(f"u{number}", expression.blocked)
        lang.get_host()

    def _add(self, name: str, tree: Tree) -> None:
        for alternative in _alternatives(tree):
            conditions = [self._condition(leaf) for leaf in alternative]
            together = reduce(lambda left, right: left & right, conditions)
            lang.when_all(together)(lambda _closure: self._found.add(name))

    def _condition(self, leaf: Leaf) -> lang.value:
        field = self._fields.setdefault(leaf.feature, f"f{len(self._fields)}")
        known = getattr(lang.m, field)
        if leaf.op in {"missing", "present"}:
            return -known if leaf.op == "missing" else +known
        return _COMPARE[leaf.op](known, leaf.value)

    def _matched(self, row: Mapping[str, Any], kind: str) -> set[str]:
        fact: dict[str, Any] = {"id": "contact"}
        for feature, field in self._fields.items():
            value = row.get(feature)
            if value is not None and value == value:  # noqa: PLR0124 - NaN
                fact[field] = value
        self._found.clear()
        try:
            lang.assert_fact(self._ruleset, fact)
        except MessageNotHandledException:  # no rule holds; nothing was stored
            return set()
        lang.retract_fact(self._ruleset, {"id": "contact"})
        return {
            expression.rule_id
            for number, expression in enumerate(self._playbook.rules.expressions)
            if expression.kind == kind
            and f"w{number}" in self._found
            and f"u{number}" not in self._found
        }


def _health(hazards: list[float]) -> dict[str, float]:
    return {
        "health.hazard_30d": hazards[0],
        "health.hazard_60d": hazards[1],
        "health.hazard_90d": hazards[2],
        "health.score": hazards[2] if math.isnan(hazards[2]) else round(100 * (1 - hazards[2])),
    }


def _alternatives(tree: Tree) -> list[tuple[Leaf, ...]]:
    """The and-only alternatives of a tree, as durable_rules takes them."""
    if isinstance(tree, Leaf):
        if isinstance(tree.value, tuple):
            return [(Leaf(tree.feature, tree.type, "==", value),) for value in tree.value]
        return [(tree,)]
    parts = [_alternatives(part) for part in tree.parts]
    if isinstance(tree, AnyOf):
        return [alternative for part in parts for alternative in part]
    return [tuple(leaf for part in choice for leaf in part) for choice in product(*parts)]


def _fitted(arms: tuple[str, ...]) -> MAB:
    """A bandit that has seen every arm twice."""
    bandit = MAB(list(arms), LearningPolicy.LinTS(alpha=0.3), seed=_SEED)
    rng = np.random.default_rng(_SEED)
    decisions = np.array(arms * 2)
    bandit.fit(decisions, rng.random(len(decisions)), rng.random((len(decisions), 4)))
    return bandit
