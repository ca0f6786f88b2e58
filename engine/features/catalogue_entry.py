"""How a standard feature is written down: what it is, in which unit, in which words."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.features.spec import Feature, Kind

VISIT = ("visit",)  # stands for the caller's visit types


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A standard feature and how to speak of it.

    Attributes:
        feature: the specification.
        unit: unit of its values.
        label: plain words for people.
        null_means: when the value is null; empty if it never is.
    """

    feature: Feature
    unit: str
    label: str
    null_means: str = ""


def described(feature: Feature, unit: str, label: str, null_means: str = "") -> CatalogueEntry:
    return CatalogueEntry(feature, unit, label, null_means)


def windows(
    name: str, kind: Kind, types: tuple[str, ...], days: Sequence[int], unit: str, label: str
) -> tuple[CatalogueEntry, ...]:
    """The same count, sum or trend in several windows; `{}` in name and label takes the days."""
    return tuple(
        described(Feature(name.format(n), kind, types, window_days=n), unit, label.format(n))
        for n in days
    )
