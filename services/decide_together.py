"""Decide for many contacts who share budgets and households.

Everybody is decided for alone first. Who then would take what another gets is told so in its
profile and is decided for again, until nobody is: few are, so it costs little.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from engine.actions import Action
from engine.columns import Bools, Ints
from engine.features.tables import FeatureTables
from engine.policy.sharing import Choices, beyond_budget, carriers
from engine.policy.terms import gives_of
from engine.profile import Profile, without_budget
from services.decision_rows import Recorded
from services.playbook import Playbook
from services.profiles import Part

# decides for some profiles, with their features
Decide = Callable[[Sequence[Profile], FeatureTables], list[Recorded]]

# a contact loses at most each of its actions; far fewer rounds are ever needed
_MOST_ROUNDS = 20


def decide_together(playbook: Playbook, part: Part, decide: Decide) -> list[Recorded]:
    """Return everybody's decisions, in order, in none of which two take the same thing.

    After the last round what is still contested is settled without another choice.
    """
    asked = list(part.profiles)
    households = [part.addresses[profile.contact_id].household for profile in asked]
    recorded = decide(asked, part.tables)
    if not playbook.policy.budgets and playbook.policy.household.within_days == 0:
        return recorded
    for turn in range(_MOST_ROUNDS):
        losers = _told(playbook, asked, recorded, households, everything=turn + 1 == _MOST_ROUNDS)
        if not losers:
            break
        for place, profile in losers.items():
            asked[place] = profile
        places = list(losers)
        again = decide([asked[place] for place in places], _only(part.tables, places))
        for place, made in zip(places, again, strict=True):
            recorded[place] = made
    return recorded


def _only(tables: FeatureTables, places: list[int]) -> FeatureTables:
    """The features of some contacts, in the order of the places."""
    contacts = tables.contacts[places]
    ids = contacts.select("contact_id").with_row_index("wanted")
    subjects = {
        kind: table.join(ids, on="contact_id", how="inner")
        .sort("wanted", maintain_order=True)
        .drop("wanted")
        for kind, table in tables.subjects.items()
    }
    return FeatureTables(contacts, subjects)


def _told(
    playbook: Playbook,
    profiles: Sequence[Profile],
    recorded: Sequence[Recorded],
    households: Sequence[str | None],
    *,
    everything: bool,
) -> dict[int, Profile]:
    """Who must choose again, with what it is told; `everything`: it may take no shared thing."""
    acting = [place for place, made in enumerate(recorded) if made.action is not None]
    choices = _choices(playbook, [recorded[place] for place in acting],
                       [households[place] for place in acting])  # fmt: skip
    carried = carriers(choices)
    late = beyond_budget(choices, _left(playbook, profiles), carried >= 0)
    told: dict[int, Profile] = {}
    for row in np.flatnonzero((carried >= 0) | late):
        place = acting[row]
        profile, action = profiles[place], recorded[place].action
        assert action is not None  # noqa: S101 - only those who act are here
        if carried[row] >= 0:
            carrier = profiles[acting[carried[row]]].contact_id
            family = {**profile.standing.household, action.id: carrier}
            profile = replace(profile, standing=replace(profile.standing, household=family))
        if late[row]:
            spent = gives_of(playbook.policy, action)
            assert spent is not None  # noqa: S101 - it gives something away
            profile = without_budget(profile, spent[0])
        if everything:
            profile = replace(profile, reach=())
        told[place] = profile
    return told


def _left(playbook: Playbook, profiles: Sequence[Profile]) -> Ints:
    """What each budget has for the batch: the same was told to all, less to who lost."""
    names = [budget.name for budget in playbook.policy.budgets]
    most = [
        max((p.standing.budget_left.get(name, 0) for p in profiles), default=0) for name in names
    ]
    return np.array(most, dtype=np.int64)


def _choices(
    playbook: Playbook, recorded: Sequence[Recorded], households: Sequence[str | None]
) -> Choices:
    listed = playbook.actions.actions
    index = {action.id: place for place, action in enumerate(listed)}
    actions = [made.action for made in recorded if made.action is not None]
    homes: dict[str, int] = {}
    budgets = {budget.name: place for place, budget in enumerate(playbook.policy.budgets)}
    given = [gives_of(playbook.policy, action) for action in listed]
    pays = np.array([-1 if g is None else budgets[g[0]] for g in given], dtype=np.int64)
    cents = np.array([0 if g is None else g[1] for g in given], dtype=np.int64)
    action = np.array([index[each.id] for each in actions], dtype=np.int64)
    return Choices(
        action=action,
        score_cents=np.array([made.row["score_cents"] for made in recorded], dtype=np.float64),
        household=np.array(
            [-1 if h is None else homes.setdefault(h, len(homes)) for h in households],
            dtype=np.int64,
        ),
        shares=_shared(playbook, listed)[action],
        budget=pays[action],
        gives_cents=cents[action],
    )


def _shared(playbook: Playbook, actions: Sequence[Action]) -> Bools:
    rule = playbook.policy.household
    return np.array(
        [rule.within_days > 0 and action.purpose in rule.purposes for action in actions],
        dtype=np.bool_,
    )
