"""What a contact's own answers say about reaching them, shrunk to what everybody's say.

Nobody gets enough messages to be judged by their own alone: a share is (answered + weight x share
of all) / (messages + weight), so a contact without messages is told what holds for all, and the
weight of their own grows with every message (Efron and Morris 1975 for why this errs less).
"""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from engine.actions import CHANNELS, PURPOSES
from engine.slots import SLOT_NAMES, SLOTS

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# messages that the share of all counts for; ten is about a year of them
WEIGHT = 10.0
# a message is given this long to be answered before silence counts
ANSWER_DAYS = 30
_ACCURACY_OF = 10
_REST_DAYS = 3
MESSAGE_SCHEMA = {
    "contact_id": pl.String,
    "channel": pl.String,
    "purpose": pl.String,
    "variant": pl.String,
    "sent_at": pl.Datetime("us", "UTC"),
    "opened": pl.Boolean,
    "answered_at": pl.Datetime("us", "UTC"),
}


def insights(
    contacts: pl.DataFrame, messages: pl.DataFrame, *, as_of: datetime, hours: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return one document per contact, in their order.

    Args:
        contacts: contact_id, timezone (IANA).
        messages: MESSAGE_SCHEMA; answers are clicks, replies and goals, never opens by machines.
            Messages younger than ANSWER_DAYS and unanswered are left out.
        as_of: aware moment of the question.
        hours: first and last hour of the local day in which anything may be sent.
    """
    known = _closed(messages, contacts, as_of)
    everybody = {
        key: _shares(known, key, names)
        for key, names in (
            ("channel", CHANNELS),
            ("slot", SLOT_NAMES),
            ("weekday", WEEKDAYS[:6]),
            ("variant", tuple(sorted(known["variant"].unique().to_list()))),
            ("purpose", PURPOSES),
        )
    }
    own = {
        str(key[0]): part for key, part in known.partition_by("contact_id", as_dict=True).items()
    }
    nothing = known.clear()
    return [
        _document(own.get(contact, nothing), everybody, contact, zone, (as_of, hours))
        for contact, zone in contacts.select("contact_id", "timezone").rows()
    ]


def _closed(messages: pl.DataFrame, contacts: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Messages whose answer is known, with the slot and weekday of the contact's own clock."""
    limit = as_of - timedelta(days=ANSWER_DAYS)
    answered = pl.col("answered_at").is_not_null()
    closed = messages.filter(answered | (pl.col("sent_at") <= limit)).join(
        contacts.select("contact_id", "timezone"), on="contact_id", how="inner"
    )
    zones = closed["timezone"].unique().to_list()
    local = pl.coalesce(
        pl.lit(None, dtype=pl.Datetime("us")),
        *(
            pl.when(pl.col("timezone") == zone).then(
                pl.col("sent_at").dt.convert_time_zone(zone).dt.replace_time_zone(None)
            )
            for zone in zones
        ),
    )
    minute = pl.col("local").dt.hour().cast(pl.Int64) * 60 + pl.col("local").dt.minute()
    slot = pl.coalesce(
        *(pl.when(minute.is_between(s.start, s.end, closed="left")).then(pl.lit(s.name))
          for s in SLOTS)
    )  # fmt: skip
    names = pl.Series(WEEKDAYS)
    return (
        closed.with_columns(local=local, answered=answered)
        .with_columns(slot=slot, day=pl.col("local").dt.weekday().cast(pl.Int64) - 1)
        .with_columns(
            weekday=pl.col("day").map_elements(lambda d: names[d], return_dtype=pl.String)
        )
        .sort("contact_id", "sent_at")
    )


def _shares(messages: pl.DataFrame, key: str, names: Sequence[str]) -> dict[str, float]:
    """P(answer) by value of a column over everybody, shrunk to the overall share."""
    overall = (float(messages["answered"].sum()) + 1.0) / (messages.height + WEIGHT)
    counts = {
        str(name): (int(n), int(k))
        for name, n, k in messages.group_by(key).agg(n=pl.len(), k=pl.col("answered").sum()).rows()
    }
    return {name: _shrunk(*counts.get(name, (0, 0)), towards=overall) for name in names}


def _shrunk(n: int, k: int, *, towards: float) -> float:
    return (k + WEIGHT * towards) / (n + WEIGHT)


def _document(
    own: pl.DataFrame,
    everybody: dict[str, dict[str, float]],
    contact: str,
    zone: str,
    when: tuple[datetime, tuple[int, int]],
) -> dict[str, Any]:
    as_of, hours = when
    shares = {key: _of_contact(own, key, common) for key, common in everybody.items()}
    best = {key: _best(found) for key, found in shares.items()}
    at = _time_of(best["slot"], hours)
    accuracy, usual = _accuracy(own, everybody["channel"])
    return {
        "contact_id": contact,
        "optimal_contact_time": at,
        "optimal_contact_day": best["weekday"],
        "preferred_communication_channel": best["channel"],
        "response_probability_by_channel": {
            name: round(share, 4) for name, share in shares["channel"].items()
        },
        "email_engagement_pattern": _pattern(own, "email"),
        "sms_engagement_pattern": _pattern(own, "sms"),
        "call_response_pattern": _pattern(own, "call_task"),
        "next_contact_recommendation": _next(own, best["weekday"], at, ZoneInfo(zone), as_of),
        "recommended_message_tone": best["variant"] or None,
        "recommended_content_type": best["purpose"],
        "prediction_accuracy_score": accuracy,
        "detail": {
            "messages": own.height,
            "of_their_own": round(own.height / (own.height + WEIGHT), 2),
            "accuracy_of_the_common_share": usual,
            "share_by_slot": {k: round(v, 4) for k, v in shares["slot"].items()},
            "share_by_weekday": {k: round(v, 4) for k, v in shares["weekday"].items()},
            "share_by_tone": {k: round(v, 4) for k, v in shares["variant"].items()},
        },
    }


def _of_contact(own: pl.DataFrame, key: str, common: dict[str, float]) -> dict[str, float]:
    if own.is_empty():
        return dict(common)
    counts = {
        str(name): (int(n), int(k))
        for name, n, k in own.group_by(key).agg(n=pl.len(), k=pl.col("answered").sum()).rows()
    }
    return {
        name: _shrunk(*counts.get(name, (0, 0)), towards=share) for name, share in common.items()
    }


def _best(shares: dict[str, float]) -> str:
    """The first of the largest; '' of none."""
    return max(shares, key=lambda name: shares[name], default="")


def _time_of(slot: str, hours: tuple[int, int]) -> time:
    """The middle of what of the slot lies in the hours; their first where nothing does."""
    part = next(each for each in SLOTS if each.name == slot)
    start, end = max(part.start, hours[0] * 60), min(part.end, hours[1] * 60)
    middle = (start + end) // 2 if start < end else hours[0] * 60
    return time(middle // 60, middle % 60 // 15 * 15)


def _pattern(own: pl.DataFrame, channel: str) -> dict[str, Any]:
    """What there was on a channel; counts, and how long answers took."""
    mine = own.filter(pl.col("channel") == channel)
    took = mine.filter("answered").select(
        ((pl.col("answered_at") - pl.col("sent_at")).dt.total_minutes() / 60.0).median()
    )
    hours = took.item() if took.height and mine["answered"].any() else None
    told: dict[str, Any] = {
        "messages": mine.height,
        "answered": int(mine["answered"].sum()),
        "median_hours_to_answer": None if hours is None else round(float(hours), 1),
        "last_sent_at": _iso(mine["sent_at"].max()),
    }
    if channel == "email":
        told["opened_by_a_person"] = int(mine["opened"].sum())
    return told


def _iso(moment: object) -> str | None:
    return moment.isoformat() if isinstance(moment, datetime) else None


def _next(own: pl.DataFrame, weekday: str, at: time, zone: ZoneInfo, as_of: datetime) -> datetime:
    """The next such day and time, not within three days of the last message; UTC follows of it."""
    last = own["sent_at"].max()
    earliest = as_of
    if isinstance(last, datetime):
        earliest = max(as_of, last + timedelta(days=_REST_DAYS))
    local = earliest.astimezone(zone)
    ahead = (WEEKDAYS.index(weekday) - local.weekday()) % 7
    day = (local + timedelta(days=ahead)).date()
    moment = datetime.combine(day, at, zone)
    if moment < earliest:
        moment = datetime.combine(day + timedelta(days=7), at, zone)
    return moment.astimezone(as_of.tzinfo)


def _accuracy(own: pl.DataFrame, common: dict[str, float]) -> tuple[float | None, float | None]:
    """One less the mean squared error of the last predictions, and that of the common share alone.

    Each message is predicted from the contact's messages before it on the same channel.
    """
    if own.is_empty():
        return None, None
    seen: dict[str, tuple[int, int]] = {}
    errors, usual = [], []
    for channel, answered in own.select("channel", "answered").rows():
        n, k = seen.get(channel, (0, 0))
        towards = common.get(channel, 0.0)
        outcome = float(answered)
        errors.append((_shrunk(n, k, towards=towards) - outcome) ** 2)
        usual.append((towards - outcome) ** 2)
        seen[channel] = (n + 1, k + int(answered))
    last, alone = errors[-_ACCURACY_OF:], usual[-_ACCURACY_OF:]
    return round(1.0 - sum(last) / len(last), 2), round(1.0 - sum(alone) / len(alone), 2)
