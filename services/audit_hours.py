"""The audit's own reading of quiet hours: it shares no code with what decides and sends.

Places come from the CRM's rows, windows, laws and holidays from the stored numbers of the policy.
"""

import calendar
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import polars as pl

# what the atlas file gives: region -> zones, name -> region, area code -> (region, zone)
Atlas = tuple[Mapping[str, tuple[str, ...]], Mapping[str, str], Mapping[str, tuple[str, str]]]
_CRM_DEFAULT = "America/New_York"


def places(people: pl.DataFrame, tenant_zone: str | None, atlas: Atlas) -> pl.DataFrame:
    """Return the rows with `zone` and `regions` (list), from timezone, state and phone."""
    zones, names, codes = atlas
    known = available_timezones()
    distinct = people.select("timezone", "state", "phone").unique()
    told = []
    for timezone, state, phone in distinct.iter_rows():
        region = names.get((state or "").strip().lower())
        coded, coded_zone = codes.get(_area(phone or ""), (None, None))
        own = timezone if timezone in known else None
        if own == _CRM_DEFAULT and region and own not in zones[region]:
            own = None
        by_state = None
        if region:
            by_state = coded_zone if coded_zone in zones[region] else zones[region][0]
        candidates = (own, by_state, coded_zone, tenant_zone if tenant_zone in known else None)
        zone = next((each for each in candidates if each), "UTC")
        regions = sorted({each for each in (region, coded) if each})
        told.append((timezone, state, phone, zone, regions))
    placed = pl.DataFrame(
        told,
        schema={**dict.fromkeys(("timezone", "state", "phone", "zone"), pl.String),
                "regions": pl.List(pl.String)},
        orient="row",
    )  # fmt: skip
    return people.join(placed, on=["timezone", "state", "phone"], how="left", nulls_equal=True)


def _area(phone: str) -> str:
    digits = "".join(filter(str.isdigit, phone))
    if phone.strip().startswith("+") and not phone.strip().startswith("+1"):
        return ""
    local = digits[1:] if len(digits) == 11 and digits.startswith("1") else digits
    return local[:3] if len(local) == 10 else ""


def with_local_time(frame: pl.DataFrame, moment: str) -> pl.DataFrame:
    """Return the rows with `day` (date), `weekday` (0 = Monday) and `minute` of the local clock."""
    parts = []
    for (zone,), rows in frame.group_by("zone", maintain_order=True):
        local = (
            pl.col(moment)
            .dt.convert_time_zone(str(zone))
            .dt.replace_time_zone(None, ambiguous="earliest")
        )
        parts.append(
            rows.with_columns(
                day=local.dt.date(),
                weekday=local.dt.weekday().cast(pl.Int64) - 1,
                minute=local.dt.hour().cast(pl.Int64) * 60 + local.dt.minute(),
            )
        )
    if parts:
        return pl.concat(parts)
    return frame.with_columns(
        day=pl.lit(None, pl.Date), weekday=pl.lit(None, pl.Int64), minute=pl.lit(None, pl.Int64)
    )


def is_closed(numbers: Mapping[str, Any], regions: list[str], day: date, minute: int) -> str | None:
    """Return why nothing may leave at a local time, None if it may."""
    window = numbers["windows"][day.weekday()]
    if window is None or not window[0] <= minute < window[1]:
        return "outside the tenant's window"
    for law in numbers["legal"]:
        allowed = law["windows"][day.weekday()]
        if law["region"] in regions and (allowed is None or not allowed[0] <= minute < allowed[1]):
            return f"outside the window of {law['region']}"
    places_told = {"*", *regions, *(region.split("-")[0] for region in regions)}
    for holiday in numbers["holidays"]:
        if holiday["region"] in places_told and day in _days(holiday, day.year):
            return f"on a holiday of {holiday['region']}"
    return None


def _days(holiday: Mapping[str, Any], year: int) -> Iterator[date]:
    if holiday["date"]:
        yield date.fromisoformat(holiday["date"])
    elif holiday["easter"] is not None:
        yield _easter(year) + timedelta(days=holiday["easter"])
    elif holiday["nth"]:
        weeks = calendar.monthcalendar(year, holiday["month"])
        days = [week[holiday["weekday"]] for week in weeks if week[holiday["weekday"]]]
        place = holiday["nth"] - 1 if holiday["nth"] > 0 else holiday["nth"]
        yield date(year, holiday["month"], days[place])
    elif holiday["day"] <= calendar.monthrange(year, holiday["month"])[1]:
        yield date(year, holiday["month"], holiday["day"])


def _easter(year: int) -> date:
    """By Gauss, with the century's corrections of 1900 to 2099."""
    a, b, c = year % 19, year % 4, year % 7
    d = (19 * a + 24) % 30
    e = (2 * b + 4 * c + 6 * d + 5) % 7
    days = d + e
    if d == 29 and e == 6:
        days -= 7
    if d == 28 and e == 6 and a > 10:
        days -= 7
    return date(year, 3, 22) + timedelta(days=days)


def local_day(moment: datetime, zone: str) -> date:
    """Return the local date of a moment."""
    return moment.astimezone(UTC).astimezone(ZoneInfo(zone)).date()
