"""Decide day after day, each as if what the days before chose had gone out; nothing is stored.

The days may lie ahead (a plan) or behind (what if). What else will happen nobody knows: contacts
stay as they are known at each moment.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.features.tables import FeatureTables
from engine.policy.stages import to_us
from engine.policy.terms import gives_of
from engine.profile import Profile
from services.decide_together import decide_together
from services.decision_rows import Recorded, decision_rows
from services.evaluate import evaluate
from services.own_history import EarlierSend
from services.playbook import Playbook
from services.policy_numbers import period_start
from services.profiles import Part, parts_of, some_profiles
from store.profiles import list_contact_ids


@dataclass(frozen=True, slots=True)
class Day:
    """What one day's run would decide.

    Attributes:
        recorded: the decisions with an action, in the order of ids.
        nothing: reason code -> contacts who get nothing.
    """

    as_of: datetime
    recorded: list[Recorded]
    nothing: Counter[str]


async def day_by_day(
    connection: AsyncConnection,
    playbook: Playbook,
    moments: Sequence[datetime],
    *,
    sends_until: datetime | None = None,
) -> AsyncIterator[Day]:
    """Yield a day for each moment, in order; of sends on record those decided before `sends_until`.

    Without it, all that is on record before each moment counts.
    """
    planned: dict[str, list[EarlierSend]] = defaultdict(list)
    given: Counter[tuple[str, str]] = Counter()
    for moment in moments:
        day = Day(moment, [], Counter())
        for ids in parts_of(playbook, await list_contact_ids(connection, moment)):
            part = await some_profiles(
                connection, playbook, moment, ids,
                planned=planned, sends_until=sends_until, given=given,
            )  # fmt: skip
            # in a thread: an API that plans goes on answering others
            for each in await asyncio.to_thread(_decided, playbook, part, moment):
                if each.action is None:
                    day.nothing[str(each.row["reason"])] += 1
                else:
                    day.recorded.append(each)
                    given.update(_gift(playbook, each, moment))
        for each in day.recorded:
            planned[each.row["contact_id"]].append(as_sent(each))
        yield day


def _decided(playbook: Playbook, part: Part, as_of: datetime) -> list[Recorded]:
    def decided(profiles: Sequence[Profile], tables: FeatureTables) -> list[Recorded]:
        evaluated = evaluate(playbook, profiles, tables, as_of=as_of)
        return decision_rows(playbook, evaluated, as_of=as_of, trigger="plan", run_id=None)

    return decide_together(playbook, part, decided)


def _gift(playbook: Playbook, decided: Recorded, as_of: datetime) -> dict[tuple[str, str], int]:
    """What the message would give away, by budget and period; nothing for most."""
    found = None if decided.action is None else gives_of(playbook.policy, decided.action)
    if found is None:
        return {}
    budget = next(each for each in playbook.policy.budgets if each.name == found[0])
    start = period_start(budget, as_of, playbook.settings.time_zone)
    return {(found[0], start.isoformat()): found[1]}


def as_sent(decided: Recorded) -> EarlierSend:
    """Return the send that a decision with an action would make, as profiles read it."""
    row = decided.row
    return (
        str(row["action"]),
        str(row["purpose"]),
        to_us(datetime.fromisoformat(str(row["send_at"]))),
        str(row["rule"]),
        str(row["subject"]),
    )
