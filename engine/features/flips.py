"""When time alone turns a comparison: exact to the microsecond, on the contact's own clock."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from engine.features.outlook import Outlook
from engine.features.spec import Feature, Scalar
from engine.features.turning_points import turning_points
from engine.features.wall_clock import instant_us

HORIZON_DAYS = 400  # a year and the longest month about it: what recurs yearly is seen once
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def flips(
    outlook: Outlook,
    spec: Feature,
    holds: Callable[[Scalar], bool],
    bounds: Sequence[float],
    *,
    as_of: datetime,
) -> Iterator[datetime]:
    """Moments (UTC, ascending) after `as_of` at which `holds(feature)` turns, if nothing happens.

    Ends `HORIZON_DAYS` after `as_of`. At each moment the answer is another one than a microsecond
    before, and between two of them it stays.

    Args:
        outlook: the contact, or for a feature of a subject that subject.
        spec: the feature; what comes from elsewhere (an attribute) never turns.
        holds: a comparison of the feature with constants.
        bounds: the numbers among these constants, finite.
        as_of: aware moment to start from.
    """
    first = instant_us(as_of)
    last = instant_us(as_of + timedelta(days=HORIZON_DAYS))
    held = holds(outlook.value(spec, first))
    for instant in turning_points(outlook, spec, bounds, first, last):
        if holds(outlook.value(spec, instant)) != held:
            held = not held
            yield _EPOCH + timedelta(microseconds=instant)
