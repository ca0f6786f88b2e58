"""The product's clock: the system's, shifted when a rehearsal runs on past data."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Clock:
    """Tells the time in UTC.

    Attributes:
        offset: added to the system's time; zero outside rehearsals.
    """

    offset: timedelta = timedelta(0)

    @classmethod
    def starting_at(cls, moment: datetime) -> "Clock":
        """Return a clock that shows `moment` (aware) now and runs on from there."""
        return cls(moment - datetime.now(UTC))

    def now(self) -> datetime:
        """Return the present moment, aware, UTC."""
        return datetime.now(UTC) + self.offset
