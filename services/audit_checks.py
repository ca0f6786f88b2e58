"""The audit's checks: plain questions over raw rows, in code that decides nothing.

Each returns findings: kind, id of the send or decision, contact, and what is wrong in words.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import polars as pl

from services.audit_hours import is_closed, local_day

_MASK = (1 << 64) - 1


class AuditFinding(NamedTuple):
    """One violation."""

    kind: str
    id: str
    contact_id: str
    detail: str


def unconsented(
    rows: pl.DataFrame, moment: str, ledger: pl.DataFrame, implied: Iterable[str]
) -> list[AuditFinding]:
    """Who was written to without consent for channel and purpose at the moment."""
    keys = ["contact_id", "channel", "purpose"]
    held = (
        rows.select("id", *keys, pl.col(moment).alias("moment"))
        .join(ledger.rename({"id": "line"}), on=keys, how="left")
        .filter(pl.col("at").is_null() | (pl.col("at") <= pl.col("moment")))
        .sort("at", "line")
        .group_by("id")
        .agg(pl.col("status").last())
    )
    told = rows.join(held, on="id", how="left").with_columns(
        pair=pl.col("channel") + ":" + pl.col("purpose")
    )
    bad = told.filter(
        (pl.col("status") == "revoked")
        | (pl.col("status").is_null() & ~pl.col("pair").is_in(list(implied)))
    )
    return [
        AuditFinding("consent", row["id"], row["contact_id"],
                     f"{row['pair']} {row['status'] or 'never granted'} at {row[moment]}")
        for row in bad.iter_rows(named=True)
    ]  # fmt: skip


def in_quiet_hours(rows: pl.DataFrame, moment: str) -> list[AuditFinding]:
    """Who was written to, or was to be, when nothing may leave; `rows` have local times."""
    found = []
    for row in rows.iter_rows(named=True):
        why = is_closed(row["policy"], row["regions"], row["day"], row["minute"])
        if why is not None:
            clock = f"{row['minute'] // 60:02}:{row['minute'] % 60:02}"
            detail = f"{row['day']} {clock} in {row['zone']}: {why} ({moment})"
            found.append(AuditFinding("quiet_hours", row["id"], row["contact_id"], detail))
    return found


def over_caps(messages: pl.DataFrame) -> list[AuditFinding]:
    """Which messages exceeded a cap, counted over all that left to the person before them."""
    found = []
    for _, rows in messages.sort("left_at", "id").group_by("contact_id", maintain_order=True):
        listed = rows.to_dicts()
        for place, row in enumerate(listed):
            earlier = listed[:place]
            for cap in row["policy"]["caps"]:
                if cap["purpose"] == row["purpose"] and _is_full(cap, row, earlier):
                    detail = (
                        f"more than {cap['max_count']} of {'+'.join(_counted(cap))} "
                        f"in {cap['window_days']} days at {row['left_at']}"
                    )
                    finding = AuditFinding("frequency_cap", row["id"], row["contact_id"], detail)
                    found.append(finding)
                    break
    return found


def _counted(cap: Mapping[str, Any]) -> list[str]:
    return list(cap["counts"]) or [cap["purpose"]]


def _is_full(cap: Mapping[str, Any], row: Mapping[str, Any], earlier: list[dict[str, Any]]) -> bool:
    begin: datetime = row["left_at"] - timedelta(days=cap["window_days"])
    counted = [e["left_at"] for e in earlier if e["purpose"] in _counted(cap)]
    rolling, same_day = sum(at > begin for at in counted), 0
    if cap["window_days"] == 1:
        today = local_day(row["left_at"], row["zone"])
        same_day = sum(local_day(at, row["zone"]) == today for at in counted)
    return bool(max(rolling, same_day) >= cap["max_count"])


def held_out(rows: pl.DataFrame, moment: str, tenant: str, *, what: str) -> list[AuditFinding]:
    """Who was contacted although the stored number, or the hash, puts them into the holdout."""
    found = []
    for row in rows.iter_rows(named=True):
        stored = row["drawn"]
        number = holdout_number(row["contact_id"], tenant) if stored is None else stored
        if number < row["policy"]["holdout_share"]:
            detail = f"{what} of a contact in the holdout ({row[moment]})"
            found.append(AuditFinding("holdout", row["id"], row["contact_id"], detail))
    return found


def holdout_number(contact_id: str, tenant: str) -> float:
    """Return the contact's number in [0, 1): SplitMix64 of the folded id and the tenant's salt."""
    salt = hashlib.blake2b(f"holdout\x1f{tenant}".encode(), digest_size=8).digest()
    number = UUID(contact_id).int
    z = ((number >> 64) ^ number) & _MASK
    z ^= int.from_bytes(salt, "big")
    for _ in range(2):
        z = (z + 0x9E3779B97F4A7C15) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        z ^= z >> 31
    return (z >> 11) / 2**53


def doubled(messages: pl.DataFrame) -> list[AuditFinding]:
    """Which messages went out twice: accepted twice, or the same thing twice on one local day."""
    found = [
        AuditFinding("double_send", row["id"], row["contact_id"],
                     f"accepted {row['accepted']} times, {row['sent_events']} sent events")
        for row in messages.filter((pl.col("accepted") > 1) | (pl.col("sent_events") > 1))
        .iter_rows(named=True)
    ]  # fmt: skip
    same = ["contact_id", "action", "subject", "day"]
    again = messages.filter(pl.len().over(same) > 1).sort("left_at", "id")
    for _, rows in again.group_by(same, maintain_order=True):
        for row in rows.rows(named=True)[1:]:
            detail = f"{row['action']} about {row['subject']} again on {row['day']}"
            found.append(AuditFinding("double_send", row["id"], row["contact_id"], detail))
    return found


def overspent(
    reservations: pl.DataFrame, balances: pl.DataFrame, messages: pl.DataFrame
) -> list[AuditFinding]:
    """Which budgets have promised more than their limit, or don't know what they have promised."""
    period = ["budget", "period_start"]
    held = (
        reservations.filter(pl.col("released") == 0)
        .group_by(period)
        .agg(pl.col("cents").sum(), pl.col("limit_cents").max())
    )
    found = [
        AuditFinding("budget", f"{row['budget']}/{row['period_start']}", "",
                     f"{row['cents']} cents promised of {row['limit_cents']}")
        for row in held.filter(pl.col("cents") > pl.col("limit_cents")).iter_rows(named=True)
    ]  # fmt: skip
    both = held.join(balances, on=period, how="full", coalesce=True).fill_null(0)
    found += [
        AuditFinding("budget", f"{row['budget']}/{row['period_start']}", "",
                     f"the balance says {row['used_cents']}, the reservations {row['cents']}")
        for row in both.filter(pl.col("cents") != pl.col("used_cents")).iter_rows(named=True)
    ]  # fmt: skip
    released = reservations.filter(pl.col("released") == 1)
    gone = messages.join(released, on="decision_id", how="semi")
    found += [
        AuditFinding("budget", row["id"], row["contact_id"], "left although its gift was released")
        for row in gone.iter_rows(named=True)
    ]
    return found
