"""The engine at work in a simulated business: the product's own rules, health, policy and bandits.

It sees what the CRM has on record, errors included, and never the truth. Nothing of it is written
for the simulation: decisions come from `services.evaluate`, learning from `bandits.learning`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import numpy as np
import polars as pl

from bandits.evidence import Cell, added, tallied
from bandits.fit import Choosing, fitted
from bandits.learning import Observation, outcomes_of
from bandits.rewards import REWARD_LADDER
from bandits.selection import VARIANT_PREFIX
from churn.model import HazardModel
from engine.actions import CHANNELS, PURPOSES
from engine.candidates import CONSENT_GRANTED, CONSENT_REVOKED
from engine.chance import salt
from engine.columns import Ints
from engine.features.spec import CONTACT, Scalar
from engine.features.tables import feature_tables
from engine.ids import DecisionId
from engine.policy.rest import rest_days, unanswered
from engine.profile import (
    ANSWERED,
    Profile,
    Standing,
    cooldown_key,
    policy_features,
)
from engine.slots import SLOT_NAMES
from services.actions import actions_of, arms_known
from services.evaluate import Evaluated, evaluate
from services.measured_playbook import playbook_of_business, trained_on
from services.playbook import Playbook
from services.profiles import RECENT_DAYS
from simulate import business as simulated
from simulate.messages import NOTHING, About, Answers, Messages, joined
from simulate.people import VARIANTS, ZONES, contact_ids
from simulate.record import MINUTES, TYPES

# the product decides every night; here every eighth, which meets all weekdays in turn, so that 20
# seeds are done in minutes
NIGHTS_APART = 8
_HISTORY_DAYS = 730
_LEARN_EVERY_DAYS = 7
_HORIZON_DAYS = 31
_ABOUT_BY_GOAL = {
    "appointment.booked": About.VISIT,
    "meeting.held": About.VISIT,
    "invoice.issued": About.VISIT,
    "contract.renewed": About.RENEWAL,
    "appointment.kept": About.REMINDER,
}


@dataclass(frozen=True, slots=True)
class Levers:
    """What the engine may use; for telling apart what each lever earns.

    Attributes:
        channels: it may write and call by.
        learns: factors that it learns; the others are drawn evenly.
        health: by a trained model where the data allow; else the scorecard serves.
    """

    channels: tuple[str, ...] = CHANNELS
    learns: frozenset[str] = frozenset({"channel", "slot", "variant"})
    health: bool = True


@dataclass
class _Sent:
    """A decision that became a message, and what came of it so far."""

    decision: DecisionId
    contact: int
    day: int
    action: int
    arms: Mapping[str, str]
    context: np.ndarray
    delivered: bool = False
    reward: float = 0.0
    delay: int = 0
    learned: float | None = None
    learned_delay: int = 0

    def earn(self, reward: float, today: int) -> None:
        if reward > self.reward:
            self.reward, self.delay = reward, today - self.day


class Engine:
    """A strategy (`simulate.calendars.Strategy`) that asks the product.

    Args:
        business: as it stands on the first measured day.
        levers: what the engine may use.
    """

    def __init__(self, business: simulated.Business, levers: Levers | None = None) -> None:
        self._levers = levers or Levers()
        self._ids = pl.Series(contact_ids(len(business.people)), dtype=pl.String)
        self._zones = [ZONES[zone] for zone in business.people.zone]
        self._playbook = playbook_of_business(business, self._trained(business))
        # person -> rule, purpose and day of each earlier message
        self._earlier: dict[int, list[tuple[str, str, int]]] = defaultdict(list)
        self._waiting: dict[int, list[tuple[Messages, list[_Sent]]]] = defaultdict(list)
        self._sent: list[_Sent] = []
        self._evidence: dict[Cell, np.ndarray] = {}
        self._open: dict[int, list[_Sent]] = defaultdict(list)

    @property
    def tier(self) -> str:
        """Who estimates health: model or scorecard."""
        return "scorecard" if self._playbook.model is None else "model"

    @property
    def playbook(self) -> Playbook:
        """Return what is in force, with what was learnt so far."""
        return self._playbook

    def left(self) -> list[tuple[int, int, int, bool, float]]:
        """Return what has left: contact, day, action, whether it arrived, its reward so far."""
        return [(s.contact, s.day, s.action, s.delivered, s.reward) for s in self._sent]

    def messages(self, business: simulated.Business) -> Messages:
        """Decide if it is a night for it, and return what leaves on the coming day."""
        if business.today % NIGHTS_APART == 0:
            self._decide(business, np.flatnonzero(business.people.joins <= business.today))
        parts = self._waiting.pop(business.today, [])
        if not parts:
            return NOTHING
        sent = [each for _, of_part in parts for each in of_part]
        self._sent.extend(sent)
        for each in sent:
            self._open[each.contact].append(each)
            action = self._playbook.actions.actions[each.action]
            self._earlier[each.contact].append((action.rule, action.purpose, business.today))
        return _numbered([messages for messages, _ in parts], len(self._sent) - len(sent))

    def learn(self, business: simulated.Business, answers: Answers) -> None:
        """Attribute the day's answers and goals to decisions; once a week feed the bandits."""
        self._answered(answers, business.today)
        self._reached(business)
        if business.today % _LEARN_EVERY_DAYS == 0:
            self._observe(business.today)

    # --- deciding

    def _decide(self, business: simulated.Business, part: Ints) -> None:
        # three in the morning at the practice
        as_of = business.now + timedelta(hours=8)
        minute = business.today * MINUTES + 8 * 60
        people = pl.DataFrame(
            {
                "contact_id": self._ids.gather(part),
                "timezone": [self._zones[contact] for contact in part],
            }
        )
        events = business.record.frame(
            self._ids, after=minute - _HISTORY_DAYS * MINUTES, until=minute
        )
        tables = feature_tables(
            people, events, self._playbook.rules.subject_kinds, self._playbook.specs, as_of=as_of
        )
        profiles = self._profiles(business, part, tables.contacts)
        evaluated = evaluate(self._playbook, profiles, tables, as_of=as_of, trigger="nightly")
        self._queue(business, part, evaluated)

    def _profiles(
        self, business: simulated.Business, part: Ints, frame: pl.DataFrame
    ) -> list[Profile]:
        names = [spec.name for spec in policy_features(self._playbook.policy)]
        read = frame.select(names).rows()
        agreed, revoked = business.people.agreed[part], business.state.revoked[part]
        return [
            self._profile(
                int(contact),
                {n: v for n, v in zip(names, read[row], strict=True) if v is not None},
                _consent(agreed[row], revoked[row]),
                business.today,
            )
            for row, contact in enumerate(part)
        ]

    def _profile(
        self, contact: int, row: Mapping[str, Scalar], consent: Mapping[str, int], today: int
    ) -> Profile:
        sends = self._earlier.get(contact, ())
        return Profile(
            contact_id=self._ids[contact],
            zone=self._zones[contact],
            row=row,
            reach=tuple(c for c in CHANNELS if c in self._levers.channels),
            consent=consent,
            sends=tuple(
                sum(
                    today - day < cap.window_days and purpose in cap.counted
                    for _, purpose, day in sends
                )
                for cap in self._playbook.policy.caps
            ),
            recent_sends=sum(today - day < RECENT_DAYS for _, _, day in sends),
            last_sent_days={
                cooldown_key(rule, CONTACT): float(today - day) for rule, _, day in sends
            },
            standing=self._standing(sends, row, today),
        )

    def _standing(
        self, sends: Sequence[tuple[str, str, int]], row: Mapping[str, Scalar], today: int
    ) -> Standing:
        policy, answered = self._playbook.policy, row.get(ANSWERED)
        since = float(answered) if isinstance(answered, int | float) else None
        lowered, rest = policy.lowered, policy.rest

        def days(purposes: Sequence[str]) -> list[float]:
            return [float(today - day) for _, purpose, day in sends if purpose in purposes]

        return Standing(
            unanswered=0
            if lowered is None
            else unanswered(days(lowered.purposes), since, lowered.within_days),
            rest_days=0.0 if rest is None else rest_days(days(rest.purposes), since, rest),
        )

    def _queue(self, business: simulated.Business, part: Ints, evaluated: Evaluated) -> None:
        decisions = evaluated.decisions
        if not len(decisions.chosen):
            return
        actions = self._playbook.actions.actions
        rows = decisions.winner[decisions.chosen]
        action = decisions.candidates.action[rows]
        start_us = int(simulated.START.timestamp() * 1e6)
        # the wall-clock day: all zones of the simulation lie west of Greenwich by 5 to 8 hours
        days = (decisions.send_at_us - start_us - 5 * 3_600_000_000) // 86_400_000_000
        treatments = decisions.treatments
        for day in np.unique(days):
            here = np.flatnonzero(days == day)
            sent = [
                _Sent(
                    decision=DecisionId(UUID(int=business.today * 10_000_000 + int(part[row]))),
                    contact=int(part[row]),
                    day=int(day),
                    action=int(action[k]),
                    arms={
                        name: arm
                        for name, arm in (
                            ("channel", CHANNELS[treatments.channel[k]]),
                            ("slot", SLOT_NAMES[treatments.slot[k]]),
                            (VARIANT_PREFIX + actions[action[k]].id, treatments.variant[k]),
                        )
                        if name.partition(":")[0] in self._levers.learns
                    },
                    context=evaluated.context[row],
                )
                for k, row in zip(here, decisions.chosen[here], strict=True)
            ]
            messages = Messages(
                contact=part[decisions.chosen[here]],
                about=np.array([_about(actions[a].goal_event) for a in action[here]]),
                channel=treatments.channel[here],
                slot=treatments.slot[here],
                variant=np.array(
                    [
                        salt(actions[action[k]].template, treatments.variant[k]) % VARIANTS
                        for k in here
                    ]
                ),
                marketing=np.array([actions[a].purpose == PURPOSES[2] for a in action[here]]),
                key=np.zeros(len(here), dtype=np.int64),
            )
            self._waiting[max(int(day), business.today)].append((messages, sent))

    # --- learning

    def _answered(self, answers: Answers, today: int) -> None:
        """Answers to a message, as `services.record_event` would record them."""
        steps = (("opened", answers.opened & ~answers.machine), ("clicked", answers.clicked),
                 ("replied", answers.replied))  # fmt: skip
        for row, key in enumerate(answers.messages.key):
            sent = self._sent[key]
            sent.delivered = True
            for step, held in steps:
                if held[row]:
                    sent.earn(REWARD_LADDER[step], today)

    def _reached(self, business: simulated.Business) -> None:
        """Goals reached today, by whoever had a message about it within the window."""
        actions = self._playbook.actions.actions
        today: dict[str, set[int]] = {}
        for contact, open_ones in list(self._open.items()):
            kept = [s for s in open_ones if business.today - s.day <= _HORIZON_DAYS + 60]
            if not kept:
                del self._open[contact]
                continue
            self._open[contact] = kept
            for sent in reversed(kept):
                goal = actions[sent.action].goal_event
                if goal not in today:
                    today[goal] = set(_happened(business, goal).tolist())
                age = business.today - sent.day
                if contact in today[goal] and 0 <= age <= actions[sent.action].goal_window_days:
                    sent.earn(REWARD_LADDER["goal"], business.today)
                    break  # one outcome rewards the last message about it

    def _observe(self, today: int) -> None:
        found = [sent for sent in self._sent if sent.day <= today and sent.learned != sent.reward]
        if not found:
            return
        actions = self._playbook.actions.actions
        observations = [
            Observation(
                s.decision, actions[s.action].id, s.arms, s.context, s.reward, s.day,
                s.learned, s.delay, s.learned_delay,
            )
            for s in found
        ]  # fmt: skip
        self._evidence = added(self._evidence, tallied(outcomes_of(observations)))
        for sent in found:
            sent.learned, sent.learned_delay = sent.reward, sent.delay
        rule_set, floor = self._playbook.rules.rule_set, self._playbook.state.floor
        state = arms_known(fitted(self._evidence, today, Choosing(floor=floor)), rule_set)
        self._playbook = replace(self._playbook, state=state, actions=actions_of(rule_set, state))

    def _trained(self, business: simulated.Business) -> HazardModel | None:
        if not self._levers.health:
            return None
        return trained_on(business)


def _consent(agreed: np.ndarray, revoked: np.ndarray) -> dict[str, int]:
    held: dict[str, int] = {}
    for c, channel in enumerate(CHANNELS):
        for p, purpose in enumerate(PURPOSES):
            if revoked[c]:
                held[f"{channel}:{purpose}"] = CONSENT_REVOKED
            elif agreed[c, p]:
                held[f"{channel}:{purpose}"] = CONSENT_GRANTED
    return held


def _about(goal: str) -> int:
    return int(_ABOUT_BY_GOAL.get(goal, About.CARE))


def _happened(business: simulated.Business, goal: str) -> Ints:
    """Who the goal happened to today, as far as the simulation knows such an event."""
    return business.record.happened(goal) if goal in TYPES else np.zeros(0, dtype=np.int64)


def _numbered(parts: list[Messages], first: int) -> Messages:
    whole = joined(parts)
    return replace(whole, key=first + np.arange(len(whole)))
