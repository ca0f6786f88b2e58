"""What we have done about a contact, and what people said of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.profile import mark_key
from store.plan_marks import APPROVED

_DAY_US = 86_400_000_000

# promised and never left, or came back: rule, subject, microseconds since 1970 UTC, channel,
# recipient, whether that was refused
Blocked = tuple[str | None, str | None, int, str, str, bool]
# what a person said: rule, subject, 'approved', 'held' or 'struck'
Marked = tuple[str, str, str]
# one earlier send: action, purpose, microseconds since 1970 UTC, rule, subject
EarlierSend = tuple[str, str, int, str | None, str | None]


@dataclass(frozen=True, slots=True)
class OwnHistory:
    """What we have done about a contact, and what people said of it."""

    sends: Sequence[EarlierSend] = ()
    blocked: Sequence[Blocked] = ()
    marks: Sequence[Marked] = ()


def not_wanted(history: OwnHistory) -> dict[str, str]:
    """Return what a person holds back or has struck, by `mark_key`."""
    return {
        mark_key(rule, subject): verdict
        for rule, subject, verdict in sorted(history.marks)
        if verdict != APPROVED
    }


def waited_days(history: OwnHistory, as_of_us: int) -> dict[str, float]:
    """Return days since each thing was first promised and blocked, since it last did leave."""
    if not history.blocked:
        return {}
    left: dict[str, int] = {}
    for _, _, at_us, rule, subject in history.sends:
        key = mark_key(rule or "", subject or "")
        left[key] = max(at_us, left.get(key, at_us))
    since: dict[str, int] = {}
    for rule, subject, at_us, *_ in history.blocked:
        key = mark_key(rule or "", subject or "")
        if at_us > left.get(key, -1):
            since[key] = min(at_us, since.get(key, at_us))
    return {key: round((as_of_us - at) / _DAY_US, 6) for key, at in sorted(since.items())}
