"""The trace of decisions made together: every candidate as a row, for one contact or for all."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from engine.actions import CHANNELS, Action
from engine.columns import Ints
from engine.reasons import Reason, Stage, code, stage_code
from services.evaluate import Evaluated
from services.playbook import Playbook

_TERMS = ("propensity", "if_left", "effect", "context", "lever", "capacity", "cost_cents",
          "fatigue_cents", "score_cents")  # fmt: skip
_NO_TERMS = ("propensity", "if_left", "effect", "effect_low", "effect_high", "context", "lever",
             "capacity")  # fmt: skip
SCHEMA: Mapping[str, type[pl.DataType]] = {
    "action": pl.String,
    "rule": pl.String,
    "purpose": pl.String,
    "subject": pl.String,
    "removed_by": pl.String,
    "reason": pl.String,
    "channels": pl.String,
    "propensity": pl.Float64,
    "if_left": pl.Float64,
    "effect": pl.Float64,
    "effect_low": pl.Float64,
    "effect_high": pl.Float64,
    "value_cents": pl.Int64,
    "context": pl.Float64,
    "lever": pl.Float64,
    "capacity": pl.Float64,
    "carried_by": pl.String,
    "cost_cents": pl.Float64,
    "fatigue_cents": pl.Float64,
    "score_cents": pl.Float64,
}


class CandidateTrace:
    """The candidates of decisions that were made together, best first within each contact.

    Columns are made once for all of them; one contact's rows are cut out of these.
    """

    def __init__(self, playbook: Playbook, evaluated: Evaluated) -> None:
        self._playbook = playbook
        self._evaluated = evaluated
        found = evaluated.decisions.candidates
        self._order = np.lexsort(
            (found.subject, found.action, -found.score_cents, found.removed_by != 0, found.contact)
        )
        n = len(evaluated.profiles)
        self._starts = np.searchsorted(found.contact[self._order], np.arange(n + 1))
        self._won = evaluated.decisions.winner >= 0

    def listed(self, index: int) -> list[dict[str, Any]]:
        """One contact's candidates as mappings, 'do nothing' among them; empty without any."""
        start, end = int(self._starts[index]), int(self._starts[index + 1])
        if start == end:
            return []
        rows = [
            {name: values[row] for name, values in self._columns.items()}
            for row in range(start, end)
        ]
        won = bool(self._won[index])
        rows.insert(1 if won else 0, _nothing(lost=won))
        return rows

    def frame(self, indexes: Sequence[int], ids: Sequence[str]) -> pl.DataFrame:
        """The same of many contacts, with `decision_id` and `position`; `ids` name their decisions.

        Rows come in no particular order.
        """
        chosen = np.asarray(indexes, dtype=np.int64)
        counts = (self._starts[chosen + 1] - self._starts[chosen]).astype(np.int64)
        some = counts > 0
        owner = np.repeat(np.arange(len(chosen)), counts)
        rank = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        won = self._won[chosen]
        # 'do nothing' stands behind what won, and before what all lost
        position = rank + ((rank > 0) | ~won[owner])
        rows = self._starts[chosen][owner] + rank
        named = pl.Series("decision_id", ids, dtype=pl.String)
        own = self._table[rows].with_columns(
            named.gather(owner), pl.Series("position", position, dtype=pl.Int64)
        )
        nothing = [
            pl.DataFrame([_nothing(lost=lost)], schema=SCHEMA)[
                np.zeros(len(who), dtype=np.int64)
            ].with_columns(named.gather(who), pl.lit(int(lost), dtype=pl.Int64).alias("position"))
            for lost, who in (
                (True, np.flatnonzero(some & won)),
                (False, np.flatnonzero(some & ~won)),
            )
            if len(who)
        ]
        return pl.concat([own, *nothing])

    @cached_property
    def _table(self) -> pl.DataFrame:
        return pl.DataFrame(self._columns, schema=SCHEMA)

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        """All candidates in order, column by column."""
        found, order = self._evaluated.decisions.candidates, self._order
        actions = self._playbook.actions.actions
        action = found.action[order]
        terms = {name: getattr(found, name)[order].tolist() for name in _TERMS}
        columns: dict[str, list[Any]] = {
            "action": _named([a.id for a in actions], action),
            "rule": _named([a.rule for a in actions], action),
            "purpose": _named([a.purpose for a in actions], action),
            "subject": _named(found.subjects, found.subject[order]),
            "removed_by": _named(_STAGES, found.removed_by[order]),
            "reason": _named(_REASONS, found.reason[order]),
            "channels": self._channels(action, found.channel_reason[order]),
            "effect_low": _named([float(a.effect_low) for a in actions], action),
            "effect_high": _named([float(a.effect_high) for a in actions], action),
            "value_cents": found.value_cents[order].astype(np.int64).tolist(),
            "carried_by": self._carriers(found.reason[order]),
            **terms,
        }
        return {name: columns[name] for name in SCHEMA}

    def _channels(self, action: Ints, reasons: Ints) -> list[str]:
        """What struck each channel of each candidate; few differ, so each is told once."""
        different, which = np.unique(
            np.column_stack([action, reasons]), axis=0, return_inverse=True
        )
        actions = self._playbook.actions.actions
        told = [_channels_told(actions[int(row[0])], row[1:]) for row in different]
        return _named(told, which.reshape(-1))

    def _carriers(self, reason: Ints) -> list[str | None]:
        """The contact of the household who carries the message, where that removed it."""
        carried: list[str | None] = [None] * len(reason)
        found = self._evaluated.decisions.candidates
        for place in np.flatnonzero(reason == Reason.HOUSEHOLD_MESSAGE):
            row = int(self._order[place])
            profile = self._evaluated.profiles[int(found.contact[row])]
            action = self._playbook.actions.actions[int(found.action[row])]
            carried[int(place)] = profile.standing.household[action.id]
        return carried


_STAGES = [stage_code(number) or None if number in set(Stage) else None
           for number in range(max(Stage) + 1)]  # fmt: skip
_REASONS = [code(number) or None if number in set(Reason) else None
            for number in range(max(Reason) + 1)]  # fmt: skip


def _named(names: Sequence[Any], index: Ints) -> list[Any]:
    return [names[each] for each in index.tolist()]


def _channels_told(action: Action, reasons: Sequence[int]) -> str:
    """Each channel of the action with what struck it: 'email:ok sms:no_consent'."""
    return " ".join(
        f"{channel}:{code(int(reasons[n])) or 'ok'}"
        for n, channel in enumerate(CHANNELS)
        if channel in action.channels
    )


def _nothing(*, lost: bool) -> dict[str, Any]:
    return {
        "action": None, "rule": None, "purpose": None, "subject": None,
        "removed_by": "arbitration" if lost else None,
        "reason": code(Reason.LOWER_VALUE) if lost else None,
        "channels": "", **dict.fromkeys(_NO_TERMS), "carried_by": None, "value_cents": 0,
        "cost_cents": 0.0, "fatigue_cents": 0.0, "score_cents": 0.0,
    }  # fmt: skip
