"""A profile: all that a decision reads about one contact at one moment. It is stored whole.

What is not in here can't have influenced the decision, so a replay needs nothing else of the
contact.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np

from engine.actions import CHANNELS, PURPOSES
from engine.candidates import CONSENT_NONE, CONSENT_REVOKED, Contacts
from engine.chance import contact_keys
from engine.columns import Bools, Floats, Ints
from engine.features.spec import CONTACT, Feature, Scalar
from engine.features.subjects import SubjectRow
from engine.policy.settings import PolicyData

T = TypeVar("T", bound=Hashable)

# The policy's own features: a complaint is open while the newest one is younger than the newest
# resolution.
COMPLAINT_OPENED = "days_since_complaint_opened"
COMPLAINT_RESOLVED = "days_since_complaint_resolved"
ANSWERED = "days_since_answer"
# what comes back from a contact: any of it ends a silence
ANSWERS = (
    "message.clicked",
    "message.replied",
    "appointment.booked",
    "appointment.kept",
    "invoice.paid",
    "call.held",
    "contract.renewed",
    "estimate.accepted",
    "survey.answered",
)
# stands for a channel in the ledger of consent: revoked, no machine that learns decides
BY_MACHINE = "ai"


def policy_features(policy: PolicyData) -> tuple[Feature, ...]:
    """Return what the stages read of a contact's history."""
    return (
        Feature(COMPLAINT_OPENED, "days_since_last", ("complaint.opened",)),
        Feature(COMPLAINT_RESOLVED, "days_since_last", ("complaint.resolved",)),
        Feature(ANSWERED, "days_since_last", ANSWERS),
        *(Feature(since_name(event), "days_since_last", (event,)) for event in policy.events),
    )


def since_name(event: str) -> str:
    """Return the name of the feature 'days since the newest such event'."""
    return f"policy_days_since_{event.replace('.', '_')}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the policy reads of a contact beside its history.

    Attributes:
        place: as `quiet_hours.place` reads it: the zone, and the regions whose law may hold.
        unanswered: newest messages in a row that nothing came back on.
        rest_days: days left of the rest after ignored messages, 0 for none.
        budget_left: budget -> cents this contact's message may draw on; absent: none.
        household: action -> contact of the same account who carries its message.
        drawn: stored number of the experiment's groups, in (0, 1); 0: not drawn, the hash holds.
    """

    place: str = ""
    unanswered: int = 0
    rest_days: float = 0.0
    budget_left: Mapping[str, int] = field(default_factory=dict)
    household: Mapping[str, str] = field(default_factory=dict)
    drawn: float = 0.0

    def as_document(self) -> dict[str, Any]:
        """Plain values; what says nothing is left out."""
        told = ((name, getattr(self, name)) for name in _STANDING)
        return {name: value for name, value in told if value}


# asked for with every profile: looking a dataclass over takes longer than writing it down
_STANDING = tuple(each.name for each in fields(Standing))


@dataclass(frozen=True, slots=True)
class Profile:
    """One contact at one moment.

    Attributes:
        contact_id: UUID text.
        zone: IANA name; the contact's, else the practice's, else UTC.
        row: features and attributes by name; what is not known is left out.
        reach: channels that the tenant has set up and for which the contact has an address.
        consent: 'channel:purpose' -> CONSENT_ code; absent means no record.
        sends: messages within each cap's window, in the order of PolicyData.caps.
        recent_sends: messages in the last seven days.
        last_sent_days: `cooldown_key` -> days since that rule last contacted this contact about
            that subject.
        subjects: the open subjects that rules are about, with features of their own.
        standing: what the policy reads beside all that.
        marks: `mark_key` -> 'held' or 'struck': what a person said of it.
        waited_days: `mark_key` -> days since it was first promised and never left.
    """

    contact_id: str
    zone: str
    row: Mapping[str, Scalar]
    reach: tuple[str, ...]
    consent: Mapping[str, int]
    sends: tuple[int, ...]
    recent_sends: int
    last_sent_days: Mapping[str, float]
    subjects: tuple[SubjectRow, ...] = ()
    standing: Standing = Standing()
    marks: Mapping[str, str] = field(default_factory=dict)
    waited_days: Mapping[str, float] = field(default_factory=dict)

    def as_document(self) -> dict[str, Any]:
        """Plain values, for a JSON document; `profile_from` reads it back."""
        return {
            "contact_id": self.contact_id,
            "zone": self.zone,
            "row": {name: value for name, value in self.row.items() if value is not None},
            "reach": list(self.reach),
            "consent": dict(self.consent),
            "sends": list(self.sends),
            "recent_sends": self.recent_sends,
            "last_sent_days": dict(self.last_sent_days),
            "standing": self.standing.as_document(),
            # absent without any: most contacts have none
            **({"subjects": [_subject(each) for each in self.subjects]} if self.subjects else {}),
            **({"marks": dict(self.marks)} if self.marks else {}),
            **({"waited_days": dict(self.waited_days)} if self.waited_days else {}),
        }

    def days_since(self, rule: str, subject: str = CONTACT) -> float:
        """Days since the rule last contacted this contact about the subject; NaN if never."""
        return self.last_sent_days.get(cooldown_key(rule, subject), float("nan"))


def without_budget(profile: Profile, budget: str) -> Profile:
    """The same contact, told that others have used up the budget."""
    left = {**profile.standing.budget_left, budget: 0}
    return replace(profile, standing=replace(profile.standing, budget_left=left))


def cooldown_key(rule: str, subject: str) -> str:
    """What a cooldown is counted by; the offers of one written rule rest together.

    >>> cooldown_key("clinic.recall/call", "contact")
    'clinic.recall contact'
    """
    return f"{rule.partition('/')[0]} {subject}"


def mark_key(rule: str, subject: str) -> str:
    """What a person's word is about: one rule, one subject."""
    return f"{rule} {subject}"


def _subject(found: SubjectRow) -> dict[str, Any]:
    row = {name: value for name, value in found.row.items() if value is not None}
    return {"kind": found.kind, "subject": found.subject, "row": row}


def profile_from(document: Mapping[str, Any]) -> Profile:
    """Return the profile that `Profile.as_document` wrote."""
    return Profile(
        contact_id=document["contact_id"],
        zone=document["zone"],
        row=document["row"],
        reach=tuple(document["reach"]),
        consent=document["consent"],
        sends=tuple(document["sends"]),
        recent_sends=document["recent_sends"],
        last_sent_days=document["last_sent_days"],
        subjects=tuple(SubjectRow(**each) for each in document.get("subjects", ())),
        standing=Standing(**document.get("standing", {})),
        marks=document.get("marks", {}),
        waited_days=document.get("waited_days", {}),
    )


def contacts_of(
    profiles: Sequence[Profile], context: Floats, policy: PolicyData, hazard_90d: Floats
) -> Contacts:
    """Return the profiles as the columns that the stages read.

    `context` is what the treatment policy reads of each contact, (n, d).
    """
    names = [profile.standing.place or profile.zone for profile in profiles]
    zones = tuple(sorted(set(names)))
    position = {zone: index for index, zone in enumerate(zones)}
    pairs = [f"{channel}:{purpose}" for channel in CHANNELS for purpose in PURPOSES]
    # few ledgers and few sets of channels are different: each is read once
    ledgers, ledger = _distinct(tuple(p.consent.items()) for p in profiles)
    consent = [[dict(each).get(pair, CONSENT_NONE) for pair in pairs] for each in ledgers]
    reaches, reach = _distinct(p.reach for p in profiles)
    return Contacts(
        ids=[profile.contact_id for profile in profiles],
        keys=contact_keys(profile.contact_id for profile in profiles),
        zone=np.array([position[name] for name in names], dtype=np.int64),
        zones=zones,
        reachable=np.array(
            [[channel in each for channel in CHANNELS] for each in reaches], dtype=np.bool_
        ).reshape(len(reaches), len(CHANNELS))[reach],
        consent=np.array(consent, dtype=np.int64).reshape(
            len(ledgers), len(CHANNELS), len(PURPOSES)
        )[ledger],
        sends=np.array([p.sends for p in profiles], dtype=np.int64).reshape(
            len(profiles), len(profiles[0].sends) if profiles else 0
        ),
        recent_sends=np.array([p.recent_sends for p in profiles], dtype=np.int64),
        open_complaint=np.array([_complains(p.row) for p in profiles], dtype=np.bool_),
        context=context,
        unanswered=np.array([p.standing.unanswered for p in profiles], dtype=np.int64),
        rest_days=np.array([p.standing.rest_days for p in profiles], dtype=np.float64),
        since=_since(profiles, policy),
        no_ai=np.array([_refuses_machines(dict(each)) for each in ledgers], dtype=np.bool_)[ledger],
        budget_left=np.array(
            [[p.standing.budget_left.get(b.name, 0) for b in policy.budgets] for p in profiles],
            dtype=np.int64,
        ).reshape(len(profiles), len(policy.budgets)),
        hazard_90d=hazard_90d,
        drawn=np.array([p.standing.drawn or math.nan for p in profiles], dtype=np.float64),
    )


def no_ai(profiles: Sequence[Profile]) -> Bools:
    """Who refused to be decided about by a machine that learns, (n,)."""
    ledgers, ledger = _distinct(tuple(p.consent.items()) for p in profiles)
    return np.array([_refuses_machines(dict(each)) for each in ledgers], dtype=np.bool_)[ledger]


def _refuses_machines(consent: Mapping[str, int]) -> bool:
    return any(consent.get(f"{BY_MACHINE}:{p}") == CONSENT_REVOKED for p in PURPOSES)


def _since(profiles: Sequence[Profile], policy: PolicyData) -> Floats:
    """Days since each of the policy's events, (n, events)."""
    columns = [_days(profiles, since_name(event)) for event in policy.events]
    return np.array(columns, dtype=np.float64).reshape(len(columns), len(profiles)).T


def _days(profiles: Sequence[Profile], name: str) -> list[float]:
    values = (profile.row.get(name) for profile in profiles)
    return [math.nan if v is None or isinstance(v, str) else float(v) for v in values]


def _distinct(values: Iterable[T]) -> tuple[list[T], Ints]:
    """The different values in the order of their first, and each value's position among them."""
    places: dict[T, int] = {}
    index = [places.setdefault(value, len(places)) for value in values]
    return list(places), np.array(index, dtype=np.int64)


def _complains(row: Mapping[str, Scalar]) -> bool:
    opened, resolved = row.get(COMPLAINT_OPENED), row.get(COMPLAINT_RESOLVED)
    if not isinstance(opened, int | float):
        return False
    return not isinstance(resolved, int | float) or opened < resolved
