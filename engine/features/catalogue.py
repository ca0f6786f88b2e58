"""The standard features: what the health model, the console and rule authors can count on.

`docs/features.md` shows this table; `catalogue_page.py` writes it and a test compares.
"""

from collections.abc import Sequence
from dataclasses import replace

from engine.features.catalogue_bonds import BONDS, COMMUNICATION, SATISFACTION
from engine.features.catalogue_entry import VISIT, CatalogueEntry
from engine.features.catalogue_service import APPOINTMENTS, PAYMENT, RHYTHM
from engine.features.spec import Feature

FEATURES: tuple[CatalogueEntry, ...] = (
    *RHYTHM,
    *APPOINTMENTS,
    *PAYMENT,
    *COMMUNICATION,
    *SATISFACTION,
    *BONDS,
)


def standard_features(visit_types: Sequence[str]) -> tuple[Feature, ...]:
    """The standard features, where an event of any of `visit_types` counts as a visit."""
    visit = tuple(visit_types)
    return tuple(
        replace(entry.feature, types=visit) if entry.feature.types == VISIT else entry.feature
        for entry in FEATURES
    )
