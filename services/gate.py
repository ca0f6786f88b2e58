"""The gate: may this message leave now? Asked in the transaction that claims it, right before.

What was true when the action was decided may have changed since: consent was withdrawn, the
appointment booked, the address corrected, another message sent. Each check has a name; the names
of those passed are kept with the send, in this order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from engine.chance import contact_keys, salt, uniform
from engine.policy.groups import HOLDOUT_SALT
from engine.policy.quiet_hours import Place, next_open, place
from engine.policy.rest import rest_days, unanswered
from engine.policy.settings import Cap, PolicyData
from engine.policy.stages import ROLLOUT_SALT, lowered_count
from engine.policy.terms import names
from engine.policy.whereabouts import Told, place_name
from engine.profile import BY_MACHINE
from engine.reasons import Reason, code
from rules.us_regions import atlas
from store.recipients import Recipient, Touch
from store.sends import Send

_PAUSE_MINUTES = 5
_SUFFIX_DIGITS = 7  # a local number without area code; shorter ones could be anybody's


@dataclass(frozen=True, slots=True)
class GateRules:
    """What the tenant has set.

    Attributes:
        policy: windows and caps.
        implied: (channel, purpose) pairs that need no row in the consent ledger.
        time_zone: of the practice, for contacts without one.
        paused: nothing leaves.
        live_rules: ids of the rules that are live at this moment.
        tenant: the tenant's id as text; salts the groups.
    """

    policy: PolicyData
    implied: frozenset[tuple[str, str]] = frozenset()
    time_zone: str | None = None
    paused: bool = False
    live_rules: frozenset[str] = frozenset()
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the contact at this moment.

    Attributes:
        recipient: None if the contact is gone.
        consents: (channel, purpose) -> granted or revoked.
        touches: messages that reached the contact or may have, others than this one.
        newest_events: (event type, subject or None) -> when the newest one since the decision
            happened or became known.
        answered_at: when anything last came back; None if not within the time that matters.
        household: (action, contact, when) of what other contacts of the account have had.
    """

    recipient: Recipient | None
    consents: Mapping[tuple[str, str], str]
    touches: Sequence[Touch]
    newest_events: Mapping[tuple[str, str | None], datetime]
    answered_at: datetime | None = None
    household: Sequence[tuple[str, UUID, datetime]] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer.

    Attributes:
        answer: now, later or never.
        reason: code; '' for now.
        at: when the block ends: to ask again, or, for never, to decide anew; None: it does not.
        checks: names of the checks passed.
    """

    answer: Literal["now", "later", "never"]
    reason: str = ""
    at: datetime | None = None
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Case:
    send: Send
    facts: Facts
    rules: GateRules
    now: datetime
    where: Place

    @property
    def zone(self) -> ZoneInfo:
        return self.where.zone

    @property
    def policy(self) -> PolicyData:
        return self.rules.policy

    def drawn(self, *words: str) -> float:
        """The contact's number in [0, 1) for a draw that the tenant's name salts."""
        kind, *named = words
        keys = contact_keys([self.send.contact_id])
        return float(uniform(keys, salt(kind, self.rules.tenant, *named))[0])

    def silent_days(self, purposes: Sequence[str]) -> tuple[list[float], float | None]:
        """Days since each other message of these purposes, and since the newest answer."""
        day = timedelta(days=1)
        sent = [
            (self.now - touch.at) / day
            for touch in self.facts.touches
            if touch.purpose in purposes and touch.send_id != self.send.id
        ]
        answered = self.facts.answered_at
        return sent, None if answered is None else (self.now - answered) / day

    def later(self, at: datetime, reason: str, *, too_late: str = "expired") -> Verdict:
        if at > self.send.not_after:
            return Verdict("never", too_late, at)
        return Verdict("later", reason, at)


def gate(send: Send, facts: Facts, rules: GateRules, now: datetime) -> Verdict:
    """Answer for one send at `now` (aware), with the checks passed up to the first that failed."""
    case = _Case(send, facts, rules, now, place(_place_name(facts.recipient, rules)))
    passed: list[str] = []
    for name, check in _CHECKS:
        verdict = check(case)
        if verdict is not None:
            return replace(verdict, checks=tuple(passed))
        passed.append(name)
    return Verdict("now", checks=tuple(passed))


def _place_name(recipient: Recipient | None, rules: GateRules) -> str:
    if recipient is None:
        told = Told(None, None, None)
    else:
        phone = recipient.mobile_phone or recipient.phone
        told = Told(recipient.timezone, recipient.state, phone)
    return place_name(told, rules.time_zone, atlas())


def _exists(case: _Case) -> Verdict | None:
    return Verdict("never", "contact_gone") if case.facts.recipient is None else None


def _in_time(case: _Case) -> Verdict | None:
    return Verdict("never", "expired") if case.now > case.send.not_after else None


def _running(case: _Case) -> Verdict | None:
    if not case.rules.paused:
        return None
    return case.later(case.now + timedelta(minutes=_PAUSE_MINUTES), "tenant_paused")


def _rule_live(case: _Case) -> Verdict | None:
    rule = case.send.rule
    if rule is None or rule in case.rules.live_rules:
        return None
    # halted, retired, rolled back or removed since: what it wanted to say is not wanted any more
    return Verdict("never", "rule_halted")


def _not_refused(case: _Case) -> Verdict | None:
    recipient = case.facts.recipient
    if recipient is None or case.send.channel in recipient.do_not:
        return Verdict("never", code(Reason.DO_NOT_CONTACT_FLAG))
    if recipient.unsubscribed and case.send.purpose == "marketing":
        return Verdict("never", "unsubscribed")
    return None


def _agreed(case: _Case) -> Verdict | None:
    pair = (case.send.channel, case.send.purpose)
    held = case.facts.consents.get(pair)
    if held == "revoked":
        return Verdict("never", code(Reason.CONSENT_REVOKED))
    if held != "granted" and pair not in case.rules.implied:
        return Verdict("never", code(Reason.NO_CONSENT))
    refused = case.facts.consents.get((BY_MACHINE, case.send.purpose)) == "revoked"
    if refused and case.send.content_source.startswith("llm"):
        return Verdict("never", "machine_refused")
    return None


def _same_address(case: _Case) -> Verdict | None:
    recipient = case.facts.recipient
    if recipient is None:
        return Verdict("never", "contact_gone")
    if case.send.channel == "email":
        known = [recipient.email] if recipient.email else []
        same = [address for address in known if address.lower() == case.send.recipient.lower()]
    else:
        known = [number for number in (recipient.mobile_phone, recipient.phone) if number]
        same = [number for number in known if _same_number(number, case.send.recipient)]
    if not known:
        return Verdict("never", "recipient_missing")
    return None if same else Verdict("never", "recipient_changed")


def _same_number(one: str, other: str) -> bool:
    # a CRM writes (555) 012-3456 where the outbox has +15550123456
    short, long = sorted(
        ("".join(filter(str.isdigit, one)), "".join(filter(str.isdigit, other))), key=len
    )
    return short == long or (len(short) >= _SUFFIX_DIGITS and long.endswith(short))


def _facts_hold(case: _Case) -> Verdict | None:
    for fact in case.send.still:
        if not {"no"} <= set(fact) <= {"no", "about"}:
            # an outbox row from a newer version: what can't be checked does not hold
            return Verdict("never", "facts_unreadable")
        about = fact.get("about")  # a subject: events about another one say nothing of this one
        if any(
            kind == fact["no"] and newest > case.send.decided_at
            for (kind, subject), newest in case.facts.newest_events.items()
            if about is None or subject == about
        ):
            return Verdict("never", "facts_changed")
    return None


def _in_experiment(case: _Case) -> Verdict | None:
    recipient = case.facts.recipient
    stored = None if recipient is None else recipient.drawn
    number = case.drawn(HOLDOUT_SALT) if stored is None else stored
    if number < case.policy.holdout_share:
        return Verdict("never", code(Reason.HOLDOUT))
    return None


def _rolled_out(case: _Case) -> Verdict | None:
    send, rule = case.send, case.send.rule
    if rule is None:
        return None
    shares = [
        each.share
        for each in case.policy.rollout
        if names(each.on, rule=rule, action=send.action, purpose=send.purpose, goal="")
    ]
    if min(shares, default=1.0) >= 1.0 or case.drawn(ROLLOUT_SALT, rule) < min(shares):
        return None
    return Verdict("never", code(Reason.NOT_ROLLED_OUT))


def _rested(case: _Case) -> Verdict | None:
    """The contact may have complained, or let messages pass, since it was decided."""
    purpose, news = case.send.purpose, _news(case)
    if purpose != "treatment" and _newer(news, "complaint.opened", "complaint.resolved"):
        return Verdict("never", code(Reason.OPEN_COMPLAINT))
    for each in case.policy.cool_off:
        happened = news.get(each.after)
        if happened is None or purpose not in each.purposes:
            continue
        if case.now < happened + timedelta(days=each.rest_days):
            return Verdict("never", code(Reason.COOL_OFF))
    rest = case.policy.rest
    if rest is None or purpose not in rest.purposes:
        return None
    if rest_days(*case.silent_days(rest.purposes), rest) > 0:
        return Verdict("never", code(Reason.RESTING))
    return None


def _news(case: _Case) -> dict[str, datetime]:
    newest: dict[str, datetime] = {}
    for (kind, _), at in case.facts.newest_events.items():
        newest[kind] = max(at, newest.get(kind, at))
    return newest


def _newer(news: Mapping[str, datetime], one: str, other: str) -> bool:
    return one in news and (other not in news or news[other] < news[one])


def _first_of_household(case: _Case) -> Verdict | None:
    rule = case.policy.household
    since = case.now - timedelta(days=rule.within_days)
    if case.send.purpose not in rule.purposes:
        return None
    for action, contact, at in case.facts.household:
        if action == case.send.action and contact != case.send.contact_id and at > since:
            return Verdict("never", code(Reason.HOUSEHOLD_MESSAGE))
    return None


def _fits(case: _Case) -> Verdict | None:
    longest = dict(case.policy.longest).get(case.send.channel)
    if longest is not None and len(str(case.send.content.get("text") or "")) > longest:
        return Verdict("never", "message_too_long")
    return None


def _awake(case: _Case) -> Verdict | None:
    allowed = next_open(case.now, case.where, case.policy)
    if allowed is None:
        return Verdict("never", code(Reason.NO_LEGAL_SLOT))
    return None if allowed[0] <= case.now else case.later(allowed[0], "quiet_hours")


def _under_caps(case: _Case) -> Verdict | None:
    frees = [_cap_frees_at(case, cap) for cap in case.rules.policy.caps]
    blocked_until = max((at for at in frees if at is not None), default=None)
    if blocked_until is None:
        return None
    reason = code(Reason.FREQUENCY_CAP)
    return case.later(blocked_until, reason, too_late=reason)


def _cap_frees_at(case: _Case, cap: Cap) -> datetime | None:
    if cap.purpose != case.send.purpose:
        return None
    window = timedelta(days=cap.window_days)
    most = _most(case, cap)
    if most <= 0:
        return case.send.not_after + window
    counted = sorted(
        touch.at
        for touch in case.facts.touches
        if touch.purpose in cap.counted and touch.send_id != case.send.id
    )
    recent = [at for at in counted if at > case.now - window]
    # rolling: one more fits when all but `most` - 1 of them have left the window
    frees = [recent[-most] + window] if len(recent) >= most else []
    if cap.window_days == 1:
        today = case.now.astimezone(case.zone).date()
        same_day = [at for at in counted if at.astimezone(case.zone).date() == today]
        if len(same_day) >= most:
            frees.append(_next_midnight(case))
    return max(frees, default=None)


def _most(case: _Case, cap: Cap) -> int:
    lowered = case.policy.lowered
    if lowered is None:
        return cap.max_count
    sent, answered = case.silent_days(lowered.purposes)
    tired = unanswered(sent, answered, lowered.within_days) >= lowered.unanswered
    return lowered_count(cap, lowered) if tired else cap.max_count


def _next_midnight(case: _Case) -> datetime:
    tomorrow = case.now.astimezone(case.zone).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=case.zone).astimezone(
        case.now.tzinfo
    )


_CHECKS: tuple[tuple[str, Callable[[_Case], Verdict | None]], ...] = (
    ("contact_exists", _exists),
    ("in_time", _in_time),
    ("tenant_running", _running),
    ("rule_live", _rule_live),
    ("not_refused", _not_refused),
    ("consent", _agreed),
    ("recipient_unchanged", _same_address),
    ("facts_still_hold", _facts_hold),
    ("not_in_holdout", _in_experiment),
    ("rolled_out", _rolled_out),
    ("not_resting", _rested),
    ("first_of_household", _first_of_household),
    ("length", _fits),
    ("quiet_hours", _awake),
    ("frequency_caps", _under_caps),
)
