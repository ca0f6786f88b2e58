"""The audit's checks of what one person, or one family, gets: plain questions over raw rows.

As in `audit_checks`, nothing that decides or sends is asked.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from services.audit_checks import AuditFinding

_DAY = timedelta(days=1)


def doubled_in_household(messages: pl.DataFrame) -> list[AuditFinding]:
    """Which messages came to a household that another member had just had the same of."""
    found = []
    at_home = messages.filter(pl.col("household").is_not_null()).sort("left_at", "id")
    for _, rows in at_home.group_by("household", "action", maintain_order=True):
        listed = rows.to_dicts()
        for place, row in enumerate(listed):
            rule = row["policy"]["household"]
            since = row["left_at"] - rule["within_days"] * _DAY
            others = [
                each
                for each in listed[:place]
                if each["contact_id"] != row["contact_id"] and each["left_at"] > since
            ]
            if others and row["purpose"] in rule["purposes"]:
                detail = (
                    f"{row['action']} to {row['contact_id']} at {row['left_at']}, after "
                    f"{others[-1]['contact_id']} of the same household at {others[-1]['left_at']}"
                )
                found.append(AuditFinding("household", row["id"], row["contact_id"], detail))
    return found


def unrested(messages: pl.DataFrame, answers: pl.DataFrame) -> list[AuditFinding]:
    """Who was written to although messages before had been ignored and the rest was not over."""
    answered = {
        str(contact): rows["at"].to_list() for (contact,), rows in answers.group_by("contact_id")
    }
    found = []
    for (contact,), rows in messages.sort("left_at", "id").group_by(
        "contact_id", maintain_order=True
    ):
        listed = rows.to_dicts()
        for place, row in enumerate(listed):
            rest = row["policy"]["rest"]
            if rest is None or row["purpose"] not in rest["purposes"]:
                continue
            until = _rests_until(listed[:place], row, rest, answered.get(str(contact), ()))
            if until is not None and until > row["left_at"]:
                detail = f"left at {row['left_at']}, in a rest until {until}"
                found.append(AuditFinding("rest", row["id"], row["contact_id"], detail))
    return found


def _rests_until(
    earlier: Sequence[Mapping[str, Any]],
    row: Mapping[str, Any],
    rest: Mapping[str, Any],
    answers: Sequence[datetime],
) -> datetime | None:
    """When the rest ends that ignored messages have begun; None if there is none."""
    now: datetime = row["left_at"]
    last = max((at for at in answers if at <= now), default=None)
    ignored = [
        each["left_at"]
        for each in reversed(earlier)
        if each["purpose"] in rest["purposes"]
        and each["left_at"] <= now - rest["answer_days"] * _DAY
        and (last is None or each["left_at"] > last)
    ]
    for newest, oldest in zip(ignored, ignored[rest["ignored"] - 1 :], strict=False):
        if newest - oldest <= rest["within_days"] * _DAY:
            return newest + rest["rest_days"] * _DAY  # type: ignore[no-any-return]
    return None


def too_long(messages: pl.DataFrame) -> list[AuditFinding]:
    """Which texts have more characters than their channel may carry for this tenant."""
    found = []
    for row in messages.iter_rows(named=True):
        longest = dict(row["policy"]["longest"]).get(row["channel"])
        if longest is not None and row["letters"] > longest:
            detail = f"{row['letters']} characters by {row['channel']}, at most {longest}"
            found.append(AuditFinding("length", row["id"], row["contact_id"], detail))
    return found
