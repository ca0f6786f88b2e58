"""What each retention strategy of a simulated business does, from its trigger to its outcome.

The business is lived through twice from the same day, with the same chances: once with the engine,
once with nobody writing. Whether the goal was reached is compared message by message with what the
same person did in the other life.
"""

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from bandits.rewards import REWARD_LADDER
from services.measured_engine import Engine, Levers
from simulate.business import Business, Cut
from simulate.calendars import Calendar, Nothing, Strategy
from simulate.outcome import Tally, figures
from simulate.people import contact_ids
from simulate.record import MINUTES

_LEVEL_Z = 1.96  # 95 %
_MONTH_DAYS = 30
_SHOWN = ("churn", "lifetime_usd", "answers", "opt_outs", "sends")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class StrategyOrder:
    """What to live through.

    Attributes:
        industry: one of `simulate.assumptions.INDUSTRIES`.
        contacts: of the business, those who have left before included.
        months: measured, of 30 days, after `history_days` under a calendar.
        seed: other people, other luck.
        health: by a trained model where the data allow; else the scorecard serves.
    """

    industry: str
    contacts: int = 800
    months: int = 6
    seed: int = 1
    history_days: int = 730
    health: bool = True


def measure_strategies(order: StrategyOrder, tell: Progress | None = None) -> dict[str, Any]:
    """Return each rule's messages, answers and goals, and what both lives came to."""
    first = Business(Cut(order.industry, order.contacts, order.seed, order.history_days))
    calendar = Calendar()
    for _ in range(order.history_days):
        first.live(calendar.messages(first))
    days = order.months * _MONTH_DAYS
    begun = first.today
    treated, alone = copy.deepcopy(first), copy.deepcopy(first)
    engine = Engine(treated, Levers(health=order.health))
    with_engine = _lived(treated, engine, days, tell)
    left_alone = _lived(alone, Nothing(), days, None)
    return {
        "industry": order.industry,
        "contacts": order.contacts,
        "days": days,
        "seed": order.seed,
        "health": engine.tier,
        "with_engine": {name: with_engine[name] for name in _SHOWN},
        "left_alone": {name: left_alone[name] for name in _SHOWN},
        "strategies": _by_rule(engine, treated, alone, begun),
    }


def _lived(
    business: Business, strategy: Strategy, days: int, tell: Progress | None
) -> Mapping[str, float]:
    tally = Tally.begun(business)
    for day in range(days):
        answers = business.live(strategy.messages(business))
        tally.add(answers)
        strategy.learn(business, answers)
        if tell is not None:
            tell(day + 1, days)
    return figures(business, tally)


def _by_rule(
    engine: Engine, treated: Business, alone: Business, begun: int
) -> list[dict[str, Any]]:
    """Rules in force in their order, those that sent nothing too."""
    playbook = engine.playbook
    messages: dict[int, list[tuple[int, int, bool, float]]] = defaultdict(list)
    last = treated.today
    for contact, day, of_action, arrived, reward in engine.left():
        messages[of_action].append((contact, day, arrived, reward))
    found = []
    rules = {rule.id: rule for rule in playbook.rules.rules}
    for place, action in enumerate(playbook.actions.actions):
        rule, sent = rules[action.rule], messages[place]
        types = playbook.rules.rule_set.vocabulary.types(action.goal_event)
        # a goal whose window is still open says nothing yet
        over = [(c, d) for c, d, *_ in sent if d + action.goal_window_days <= last]
        reached = _reached(treated, types, over, action.goal_window_days, begun)
        would = _reached(alone, types, over, action.goal_window_days, begun)
        found.append(
            {
                "rule": action.rule,
                "title": rule.title,
                "trigger": [*(f"on {event}" for event in rule.check_on),
                            *(["nightly"] if rule.nightly else [])],
                "purpose": action.purpose,
                "goal": f"{action.goal_event} within {action.goal_window_days} days",
                "messages": len(sent),
                "contacts": len({contact for contact, *_ in sent}),
                "arrived": sum(arrived for _, _, arrived, _ in sent),
                "answered": sum(reward >= REWARD_LADDER["clicked"] for *_, reward in sent),
                "judged": len(over),
                **_compared([c for c, _ in over], reached, would),
            }
        )  # fmt: skip
    return found


def _reached(
    business: Business,
    types: Sequence[str],
    over: Sequence[tuple[int, int]],
    window: int,
    since: int,
) -> np.ndarray:
    """Whether an event of these types happened to the contact within the window, by message."""
    ids = pl.Series(contact_ids(len(business.people)), dtype=pl.String)
    frame = business.record.frame(ids, after=since * MINUTES).filter(pl.col("type").is_in(types))
    position = {contact: n for n, contact in enumerate(ids)}
    happened: dict[int, list[float]] = defaultdict(list)
    day = (pl.col("occurred_at") - business.record.start).dt.total_minutes() / MINUTES
    for contact, at in frame.select("contact_id", day.alias("day")).iter_rows():
        happened[position[contact]].append(at)
    return np.array(
        [any(d <= at <= d + window for at in happened[c]) for c, d in over], dtype=np.float64
    )


def _compared(contacts: Sequence[int], reached: np.ndarray, would: np.ndarray) -> dict[str, Any]:
    """Shares in both lives, and the difference with its interval; contacts are drawn, not messages.

    Nulls where fewer than two contacts can be judged.
    """
    n = len(reached)
    if len(set(contacts)) < 2:
        return dict.fromkeys(("reached", "if_left_alone", "effect", "low", "high"))
    effect = float((reached - would).mean())
    by_contact: dict[int, float] = defaultdict(float)
    for contact, difference in zip(contacts, reached - would, strict=True):
        by_contact[contact] += float(difference) - effect
    spread = _LEVEL_Z * float(np.sqrt(sum(v * v for v in by_contact.values()))) / n
    return {
        "reached": float(reached.mean()),
        "if_left_alone": float(would.mean()),
        "effect": effect,
        "low": effect - spread,
        "high": effect + spread,
    }
