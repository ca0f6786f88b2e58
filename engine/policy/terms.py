"""What the policy's numbers say of each action: worked out once for numbers and actions."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

import numpy as np

from engine.actions import Action, ActionColumns
from engine.columns import Bools, Floats, Ints
from engine.policy.settings import PolicyData


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """By action.

    Attributes:
        gives_cents: what one message promises to give, (actions,).
        budget: position in PolicyData.budgets that pays for it, -1 for none, (actions,).
        rollout: share of the contacts that get it, (actions,).
        capacity: position in PolicyData.capacity, -1 for none, (actions,).
        contexts: which ContextWeight concerns it, (contexts, actions).
        levers: which Lever concerns it, (levers, actions).
    """

    gives_cents: Ints
    budget: Ints
    rollout: Floats
    capacity: Ints
    contexts: Bools
    levers: Bools


@lru_cache(maxsize=64)
def terms_of(policy: PolicyData, actions: ActionColumns) -> Terms:
    """Return the terms of all actions; the first budget and the narrowest rollout count."""
    listed = actions.actions
    gives, budget = np.zeros(len(listed), dtype=np.int64), np.full(len(listed), -1, dtype=np.int64)
    for place, each in enumerate(policy.budgets):
        for pattern, cents in each.gives:
            rows = (budget < 0) & _concerned((pattern,), listed)
            gives[rows], budget[rows] = max(cents, 0), place
    rollout = np.ones(len(listed))
    for share in policy.rollout:
        rows = _concerned((share.on,), listed)
        rollout[rows] = np.minimum(rollout[rows], share.share)
    goals = [each.goal for each in policy.capacity]
    return Terms(
        gives_cents=gives,
        budget=budget,
        rollout=rollout,
        capacity=np.array(
            [goals.index(a.goal_event) if a.goal_event in goals else -1 for a in listed],
            dtype=np.int64,
        ),
        contexts=_table([each.on for each in policy.contexts], listed),
        levers=_table([(each.on,) for each in policy.levers], listed),
    )


def gives_of(policy: PolicyData, action: Action) -> tuple[str, int] | None:
    """Return the budget that pays for what a message of the action gives, and the cents."""
    for budget in policy.budgets:
        for pattern, cents in budget.gives:
            if _names(pattern, action) and cents > 0:
                return budget.name, cents
    return None


def names(pattern: str, *, rule: str, action: str, purpose: str, goal: str) -> bool:
    """Tell whether a pattern names an action; see `engine.policy.settings`."""
    kind, _, told = pattern.partition(":")
    if told and kind == "purpose":
        return purpose == told
    if told and kind == "goal":
        return fnmatchcase(goal, told)
    return fnmatchcase(rule, pattern) or fnmatchcase(action, pattern)


def _names(pattern: str, action: Action) -> bool:
    return names(
        pattern,
        rule=action.rule,
        action=action.id,
        purpose=action.purpose,
        goal=action.goal_event,
    )


def _table(patterns: list[tuple[str, ...]], actions: tuple[Action, ...]) -> Bools:
    rows = [_concerned(each, actions) for each in patterns]
    return np.array(rows, dtype=np.bool_).reshape(len(patterns), len(actions))


def _concerned(patterns: tuple[str, ...], actions: tuple[Action, ...]) -> Bools:
    return np.array([any(_names(p, a) for p in patterns) for a in actions], dtype=np.bool_)
