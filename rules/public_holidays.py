"""Public holidays of a country or a part of it, from the `holidays` library."""

from datetime import date
from functools import cache

import holidays

from engine.errors import InvalidInput


class UnknownRegion(InvalidInput):
    """No public holidays are known of this country, or it has no such part."""

    code = "unknown_region"


@cache
def public_holidays(region: str, year: int) -> frozenset[date]:
    """Return the public holidays of a region in the year, the one before and the two after.

    `region` is a country by ISO 3166-1, with or without a part of it by ISO 3166-2: 'US', 'US-TX'.

    Raises:
        UnknownRegion: the library knows none of it.
    """
    country, _, part = region.partition("-")
    years = range(year - 1, year + 3)
    try:
        found = holidays.country_holidays(country, subdiv=part or None, years=years)
    except NotImplementedError as error:
        raise UnknownRegion(
            f"There are no public holidays for the region '{region}'.",
            hint="Use a country, or a country and its state: US, US-TX, DE-BY.",
        ) from error
    return frozenset(found)
