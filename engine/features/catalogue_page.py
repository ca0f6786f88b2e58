"""The table of standard features as the page `docs/features.md` shows it."""

from collections.abc import Iterator

from engine.features.catalogue import FEATURES
from engine.features.catalogue_entry import CatalogueEntry
from engine.features.spec import Feature, Kind

# Where events with this noun come from, besides being reported through the API or an import.
_FROM_CRM = {
    "activity": "CRM activities",
    "deal": "CRM deals",
    "campaign": "CRM campaign memberships",
    "household": "contacts of the same CRM account",
}
_WHOLE: frozenset[Kind] = frozenset(
    {"count", "trend", "season_count", "distinct_count", "open_count", "sum"}
)


def catalogue_table() -> str:
    """Markdown: a row per feature with type, unit, window, source and what null means."""
    head = "| feature | type | unit | window | source | what it says | null when |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *_rows()])


def _rows() -> Iterator[str]:
    for entry in FEATURES:
        feature = entry.feature
        cells = (
            f"**{feature.name}**",
            _type(feature),
            entry.unit,
            _window(feature),
            _source(entry),
            entry.label,
            entry.null_means or "never",
        )
        yield f"| {' | '.join(cells)} |"


def _type(feature: Feature) -> str:
    whole = feature.kind in _WHOLE or feature.kind.startswith(("count", "days_until_date"))
    return "whole number" if whole else "number"


def _window(feature: Feature) -> str:
    days = feature.window_days
    if days is None:
        return "all history"
    if feature.kind in {"trend", "mean_change"}:
        return f"{days} days and the {days} before"
    if feature.kind == "season_count":
        return f"365 to {365 - days} days ago"
    return f"{days} days"


def _source(entry: CatalogueEntry) -> str:
    feature = entry.feature
    named = dict.fromkeys((*feature.types, *feature.of_types, *feature.closed_by))
    if feature.anchor:
        named[feature.anchor] = None
    nouns = {name.partition(".")[0] for name in named}
    from_crm = sorted({_FROM_CRM[noun] for noun in nouns if noun in _FROM_CRM})
    if "message.rated" in named:
        from_crm.append("sentiment of CRM activities")
    events = ", ".join(f"`{name}`" if "." in name else "visits" for name in named)
    shown = f"{events} ({', '.join(from_crm)})" if from_crm else events
    return f"{shown}: `{feature.property}`" if feature.property else shown
