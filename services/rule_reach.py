"""By which channel a proposal could have gone out at its moment, if by any."""

from collections.abc import Iterator

import polars as pl

from rules.document import ActionProposal
from services.past_nights import PastNights

UNREACHABLE, NO_CONSENT = "unreachable", "no_consent"
_ADDRESS = {"email": "email", "sms": "mobile_phone", "call_task": "phone"}
_FLAGS = {"email": "do_not_email", "sms": "do_not_sms", "call_task": "do_not_call"}


def first_channels(
    proposals: pl.DataFrame, then: ActionProposal, nights: PastNights, ledger: pl.DataFrame
) -> pl.DataFrame:
    """Add `channel`: the first one of the author's order that is possible, or what kept it back.

    Consent is that of the ledger at the proposal's moment `at`; addresses and the CRM's flags are
    those of today. `ledger` is `store.rule_history.list_consent_history` for the action's purpose.
    """
    found = proposals.join(nights.cards, on="contact_id", how="left", maintain_order="left")
    reach = list(_reachable(nights, then))
    granted = [
        (channel, pl.Series(f"granted {channel}", _granted(found, then, nights, ledger, channel)))
        for channel in then.channels
    ]
    found = found.with_columns(series for _, series in granted)
    first = pl.lit(None, dtype=pl.String)
    for (channel, reachable), _ in reversed(list(zip(reach, granted, strict=True))):
        first = (
            pl.when(reachable & pl.col(f"granted {channel}")).then(pl.lit(channel)).otherwise(first)
        )
    anywhere = pl.any_horizontal(reachable for _, reachable in reach)
    why = pl.when(anywhere).then(pl.lit(NO_CONSENT)).otherwise(pl.lit(UNREACHABLE))
    return found.select(*proposals.columns, channel=pl.coalesce(first, why))


def _reachable(nights: PastNights, then: ActionProposal) -> Iterator[tuple[str, pl.Expr]]:
    """Messages need a complete sender, a call by staff does not."""
    settings = nights.playbook.settings
    ready = {"call_task", *(settings.channels if settings.sender is not None else ())}
    for channel in then.channels:
        address = pl.col(_ADDRESS[channel])
        has_one = (address.is_not_null() & (address != "")).fill_null(value=False)
        yield channel, has_one & pl.lit(channel in ready)


def _granted(
    found: pl.DataFrame,
    then: ActionProposal,
    nights: PastNights,
    ledger: pl.DataFrame,
    channel: str,
) -> pl.Series:
    """Whether the contact had agreed: the CRM's flags forbid, else the ledger, else implied."""
    implied = f"{channel}:{then.purpose}" in nights.playbook.settings.implied_consent
    lines = ledger.filter(pl.col("channel") == channel).select(
        "contact_id", "granted", "effective_at"
    )
    asked = found.select("contact_id", "at").with_row_index("order").sort("at")
    said = asked.join_asof(
        lines.sort("effective_at", maintain_order=True),
        left_on="at",
        right_on="effective_at",
        by="contact_id",
        strategy="backward",
        check_sortedness=False,
    ).sort("order")["granted"]
    forbidden = pl.col(_FLAGS[channel])
    if then.purpose == "marketing":
        forbidden = forbidden | pl.col("unsubscribed")
    flagged = found.select(forbidden.fill_null(value=False)).to_series()
    return said.fill_null(implied) & ~flagged
