"""What if: a past week decided once as things are in force, and once as they are proposed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.actions import Action
from engine.errors import InvalidInput
from engine.ids import TenantId
from engine.policy.settings import Lever
from engine.policy.terms import gives_of, names
from rules.findings import suggestion
from rules.policy_data import read_policy, tenant_policy
from services.day_by_day import Day, day_by_day
from services.decide import checked_as_of
from services.decision_rows import Recorded
from services.plan_days import refuse_too_many
from services.playbook import Playbook
from services.policy_numbers import shipped
from services.rule_texts import RuleTexts
from services.rules_on_trial import trial_of
from services.wiring import Runtime
from store.policies import find_policy_sections
from store.tenants import get_industry

_LONGEST = timedelta(days=92)
_MOST_NAMED = 100


@dataclass(frozen=True, slots=True)
class Proposed:
    """What would be different.

    Attributes:
        file: a rules file in place of the one of its name in force.
        levers: on top of those in force.
        policy: folder with policy files in place of the shipped ones.
        sections: of the tenant's policy, as `keepwell policy set` takes them; the others stay.
    """

    file: RuleTexts | None = None
    levers: Sequence[Lever] = ()
    policy: Path | None = None
    sections: Mapping[str, Any] = field(default_factory=dict)


async def what_if(  # noqa: PLR0913 - a question with its bounds
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    proposed: Proposed,
    *,
    since: datetime,
    until: datetime,
    most_contact_days: int | None = None,
) -> dict[str, Any]:
    """Return who would have got what in [since, until), in force and proposed, and the difference.

    Both are decided day by day with what was known on each day and with the model and the bandits
    of the first; what was really sent before it counts, what was sent in it does not: each side
    takes its own choices for sent. Nothing is stored. Amounts are cents of expected worth and of
    cost. Who would have answered how is not known: this compares choices, not results.

    Raises:
        InvalidInput: the window is empty, longer than 92 days or not over; a lever names nothing;
            contacts x days above `most_contact_days`.
        InvalidRules: the file or the policy has faults.
    """
    first = checked_as_of(since, runtime.clock.now())
    last = checked_as_of(until, runtime.clock.now())
    if not first < last <= first + _LONGEST:
        raise InvalidInput(
            f"The window from {first.isoformat()} to {last.isoformat()} is empty or longer than "
            f"{_LONGEST.days} days.",
            hint="Ask for one week: --from 2016-05-02 --to 2016-05-09.",
        )
    now = await trial_of(connection, tenant_id, first)
    then = await trial_of(connection, tenant_id, first, file=proposed.file)
    days = (last - first + timedelta(days=1) - timedelta(microseconds=1)) // timedelta(days=1)
    moments = [first + timedelta(days=number) for number in range(days)]
    await refuse_too_many(connection, last, 2 * days, most_contact_days)
    changed = _changed(await _with_sections(connection, then.playbook, proposed), proposed)
    before = await _decided(connection, now.playbook, moments)
    after = await _decided(connection, changed, moments)
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "days": days,
        "rules": {"in_force": now.source, "proposed": then.source},
        "in_force": _totals(before),
        "proposed": _totals(after),
        "by_day": [
            {"as_of": old.as_of.isoformat(), "in_force": _day(old), "proposed": _day(new)}
            for old, new in zip(before, after, strict=True)
        ],
        "by_rule": _by_rule(before, after),
        "budgets": _budgets((now.playbook, before), (changed, after)),
        **_contacts(before, after),
    }


async def _decided(
    connection: AsyncConnection, playbook: Playbook, moments: Sequence[datetime]
) -> list[Day]:
    return [day async for day in day_by_day(connection, playbook, moments, sends_until=moments[0])]


async def _with_sections(
    connection: AsyncConnection, playbook: Playbook, proposed: Proposed
) -> Playbook:
    """The playbook with the tenant's policy as it was, but for the sections proposed."""
    if not proposed.sections:
        return playbook
    was = await find_policy_sections(connection, playbook.policy.digest)
    wanted = {**was, **proposed.sections}
    policy = tenant_policy(
        shipped(),
        {name: value for name, value in wanted.items() if value is not None},
        await get_industry(connection),
    )
    return replace(playbook, policy=policy)


def _budgets(*sides: tuple[Playbook, Sequence[Day]]) -> list[dict[str, Any]]:
    """What each budget gives on both sides, cents; a budget that only one side has is 0 there."""
    given: list[Counter[str]] = []
    for playbook, days in sides:
        actions = {action.rule: action for action in playbook.actions.actions}
        spent: Counter[str] = Counter({budget.name: 0 for budget in playbook.policy.budgets})
        for each in (each for day in days for each in day.recorded):
            gift = gives_of(playbook.policy, actions[str(each.row["rule"])])
            if gift is not None:
                spent[gift[0]] += gift[1]
        given.append(spent)
    old, new = given
    return [
        {"budget": name, "in_force_cents": old[name], "proposed_cents": new[name]}
        for name in sorted(old.keys() | new.keys())
    ]


def _changed(playbook: Playbook, proposed: Proposed) -> Playbook:
    if proposed.policy is not None:
        playbook = replace(playbook, policy=read_policy(proposed.policy).settings)
    for lever in proposed.levers:
        listed = playbook.actions.actions
        if not any(_names(lever, action) for action in listed):
            known = [name for action in listed for name in (action.rule, action.id)]
            raise InvalidInput(
                f"The lever names '{lever.on}', which is no rule and no action.",
                hint=suggestion(lever.on, known),
            )
        levers = (*playbook.policy.levers, lever)
        playbook = replace(playbook, policy=replace(playbook.policy, levers=levers))
    return playbook


def _names(lever: Lever, action: Action) -> bool:
    return names(
        lever.on,
        rule=action.rule,
        action=action.id,
        purpose=action.purpose,
        goal=action.goal_event,
    )


def _day(day: Day) -> dict[str, Any]:
    return {
        "sends": len(day.recorded),
        "contacts_with_nothing": day.nothing.total(),
        "worth_cents": round(sum(each.row["score_cents"] for each in day.recorded), 6),
        "cost_cents": round(sum(_cost(each) for each in day.recorded), 6),
    }


def _cost(decided: Recorded) -> float:
    return float(decided.row["treatment"]["cost_cents"])


def _totals(days: Sequence[Day]) -> dict[str, Any]:
    recorded = [each for day in days for each in day.recorded]
    nothing: Counter[str] = sum((day.nothing for day in days), Counter())
    return {
        "sends": len(recorded),
        "sends_a_day": round(len(recorded) / len(days), 3),
        "contacts": len({each.row["contact_id"] for each in recorded}),
        "worth_cents": round(sum(each.row["score_cents"] for each in recorded), 6),
        "cost_cents": round(sum(_cost(each) for each in recorded), 6),
        "by_action": dict(Counter(str(each.row["action"]) for each in recorded).most_common()),
        "by_channel": dict(Counter(str(each.row["channel"]) for each in recorded).most_common()),
        "nothing": dict(nothing.most_common()),
    }


def _by_rule(before: Sequence[Day], after: Sequence[Day]) -> list[dict[str, Any]]:
    old, new = (
        Counter(str(each.row["rule"]) for day in days for each in day.recorded)
        for days in (before, after)
    )
    rows = [
        {"rule": rule, "in_force": old[rule], "proposed": new[rule]} for rule in old.keys() | new
    ]
    return sorted(rows, key=lambda row: (-abs(row["proposed"] - row["in_force"]), row["rule"]))


def _contacts(before: Sequence[Day], after: Sequence[Day]) -> dict[str, Any]:
    """Who would get something only then, who not any more, and who something else; some named."""
    old, new = _got(before), _got(after)
    groups = {
        "gained": sorted(new.keys() - old.keys()),
        "lost": sorted(old.keys() - new.keys()),
        "changed": sorted(c for c in old.keys() & new.keys() if old[c] != new[c]),
    }
    return {
        name: {
            "contacts": len(found),
            "named": [
                {"contact_id": c, "in_force": old.get(c, []), "proposed": new.get(c, [])}
                for c in found[:_MOST_NAMED]
            ],
        }
        for name, found in groups.items()
    }


def _got(days: Sequence[Day]) -> Mapping[str, list[str]]:
    got: dict[str, list[str]] = {}
    for day in days:
        for each in day.recorded:
            told = f"{day.as_of.date().isoformat()} {each.row['action']} by {each.row['channel']}"
            got.setdefault(str(each.row["contact_id"]), []).append(told)
    return got
