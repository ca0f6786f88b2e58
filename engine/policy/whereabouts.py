"""Where a contact is, for quiet hours: time zone and regions, from what the CRM knows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from engine.policy.quiet_hours import is_zone, zone_or_utc

# what the CRM writes into a contact's zone when nobody said anything
CRM_DEFAULT_ZONE = "America/New_York"

_DIGITS = re.compile(r"\D+")
_US_DIGITS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """What is known of regions.

    Attributes:
        zones: region, e.g. US-NY -> its IANA zones, the one of most inhabitants first.
        names: a state's code and its name, in small letters -> region.
        codes: area code -> region and zone.
    """

    zones: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str]
    codes: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Told:
    """What the CRM says of one contact; None where it says nothing."""

    timezone: str | None
    state: str | None
    phone: str | None


@lru_cache(maxsize=65536)
def place_name(told: Told, tenant_zone: str | None, atlas: Atlas) -> str:
    """Return the contact's place as `quiet_hours.place` reads it.

    The zone is the first of: the contact's own (unless it is the CRM's default and the address
    lies in a state where that zone is not), the state's of the account's address, the area code's,
    the tenant's, UTC. The regions are those of the address and of the area code: where they differ
    the law of both holds.
    """
    state = atlas.names.get((told.state or "").strip().lower())
    code_region, code_zone = atlas.codes.get(area_code(told.phone), ("", ""))
    own = told.timezone if is_zone(told.timezone) else None
    if own == CRM_DEFAULT_ZONE and state is not None and own not in atlas.zones[state]:
        own = None
    zone = zone_or_utc(own, _zone_of(state, code_zone, atlas), code_zone or None, tenant_zone)
    regions = dict.fromkeys(r for r in (state, code_region) if r)
    return f"{zone.key}@{','.join(regions)}" if regions else zone.key


def _zone_of(state: str | None, code_zone: str, atlas: Atlas) -> str | None:
    """The state's zone; of several the one the telephone number points to."""
    if state is None:
        return None
    zones = atlas.zones[state]
    return code_zone if code_zone in zones else zones[0]


def area_code(phone: str | None) -> str:
    """Return the area code of a number in the North American plan, '' of any other.

    >>> area_code("+1 (217) 555-0123"), area_code("217.555.0123"), area_code("+44 20 7946 0018")
    ('217', '217', '')
    """
    if not phone:
        return ""
    digits = _DIGITS.sub("", phone)
    if len(digits) == _US_DIGITS + 1 and digits[0] == "1":
        return digits[1:4]
    return digits[:3] if len(digits) == _US_DIGITS and not phone.strip().startswith("+") else ""
