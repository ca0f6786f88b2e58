"""What earlier messages and the silence after them mean: unanswered ones, and a rest."""

from collections.abc import Iterable

from engine.policy.settings import Rest

_DECIMALS = 6


def unanswered(sent_days: Iterable[float], answered_days: float | None, within_days: float) -> int:
    """Return how many messages of the last `within_days` came after the newest answer.

    `sent_days` are the days since each message, `answered_days` those since the newest answer;
    None: there never was one.
    """
    return sum(
        days < within_days and (answered_days is None or days < answered_days) for days in sent_days
    )


def rest_days(sent_days: Iterable[float], answered_days: float | None, rest: Rest | None) -> float:
    """Return the days that are left of a rest; 0 if the contact does not rest.

    A rest starts at a message by which `rest.ignored` messages within `rest.within_days` were
    ignored: nothing came back after them, and the last one is `rest.answer_days` old.

    >>> rest = Rest(2, 30, 60, answer_days=3, purposes=("marketing",))
    >>> rest_days([10.0, 25.0], None, rest), rest_days([10.0, 25.0], 9.0, rest)
    (50.0, 0.0)
    """
    if rest is None or rest.ignored < 1:
        return 0.0
    silent = sorted(
        days
        for days in sent_days
        if days >= rest.answer_days and (answered_days is None or days < answered_days)
    )
    for newest, oldest in zip(silent, silent[rest.ignored - 1 :], strict=False):
        if oldest - newest <= rest.within_days:
            return round(max(0.0, rest.rest_days - newest), _DECIMALS)
    return 0.0
