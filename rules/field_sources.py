"""Reads where a field's value comes from: an attribute, a property of a subject, or history."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from engine.features.spec import CONTACT, Feature, Kind, ValueType
from rules.findings import shown
from rules.reading import Reader
from rules.source import Node

_PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,60}\Z")
_WINDOW = ("in_last",)
_INTERVAL = ("every", "every_from")


@dataclass(frozen=True, slots=True)
class ComputedKind:
    """What a vocabulary may compute: the settings it needs and may have besides `types`."""

    kind: Kind
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    type: str = "number"


COMPUTED: Mapping[str, ComputedKind] = {
    "count": ComputedKind("count", may=_WINDOW),
    "sum": ComputedKind("sum", may=_WINDOW),
    "days_since_last": ComputedKind("days_since_last"),
    "days_since_first": ComputedKind("days_since_first"),
    "median_interval_days": ComputedKind("median_interval_days"),
    "interval_ratio": ComputedKind("interval_ratio"),
    "days_until_next": ComputedKind("days_until_next", may=("closed_by",)),
    "share": ComputedKind("share", ("of_types",), _WINDOW),
    "trend": ComputedKind("trend", _WINDOW),
    "last_value": ComputedKind("last_value"),
    "mean_value": ComputedKind("mean_value", may=_WINDOW),
    "value_change": ComputedKind("value_change"),
    "open_count": ComputedKind("open_count", ("closed_by",), _WINDOW),
    "oldest_open_days": ComputedKind("oldest_open_days", ("closed_by",), _WINDOW),
    "median_latency_days": ComputedKind("median_latency_days", ("of_types",), _WINDOW),
    "recall": ComputedKind("days_until_recall", may=_INTERVAL, type="date"),
    "members_due": ComputedKind("members_due", may=("every", "in_next")),
}
_SETTINGS = ("kind", "types", "of_types", "closed_by", "in_last", *_INTERVAL, "in_next")


class SourceReader:
    """Reads the sources of one file's fields; `types` turns an event name into event types."""

    def __init__(self, read: Reader, types: Callable[[Node | None, str], tuple[str, ...]]) -> None:
        self._read = read
        self._types = types

    def source(self, key: Node, type_: str, about: str, node: Node | None) -> Feature:
        """The feature of the field that `key` names; `about` is the subject kind or ''."""
        name = key.text
        if node is not None and node.kind == "map" and node.get("kind"):
            feature = self._computed(name, type_, about, node)
        elif node is not None and node.kind == "map":
            feature = self._property(name, type_, about, node)
        else:
            if about:
                hint = "source: {property: ends_on}"
                self._read.fault("E105", f"a field about a {about} needs a source", key, hint)
            attribute = self._read.name(node, "an attribute") or name
            feature = Feature(attribute, "attribute", attribute=attribute)
        if type_ == "date" and feature.kind in {"attribute", "property"}:
            feature = replace(feature, name=f"days until {name}", kind="days_until_date")
        prefix = f"{about}: " if about else ""
        return replace(feature, name=prefix + feature.name, scope=about or CONTACT)

    def _property(self, name: str, type_: str, about: str, node: Node) -> Feature:
        found = self._read.settings(node, "source", ("property", "kind"), ("property",))
        word = self._read.text(found.get("property"), "property")
        if word and not _PROPERTY.match(word):
            self._read.fault("E014", f"{shown(word)} is no name for a property", found["property"])
        if not about:
            message = "a property belongs to a subject; say what the field is about"
            self._read.fault("E105", message, node, "about: contract")
        value_type = cast("ValueType", "text" if type_ == "date" else type_)
        return Feature(name, "property", property=word, value_type=value_type)

    def _computed(self, name: str, type_: str, about: str, node: Node) -> Feature:
        read = self._read
        found = read.settings(node, "source", _SETTINGS, ("kind", "types"))
        word = read.choice(found.get("kind"), "kind", COMPUTED, "count")
        known = COMPUTED[word]
        self._fit(word, known, found, node)
        if type_ != known.type:
            hint = f"type: {known.type}"
            read.fault("E103", f"a computed {shown(word)} is a {known.type}", node, hint)
        if about and word == "members_due":
            read.fault("E103", '"members_due" is about people, not about a subject', node)
        every = read.length(found.get("every"))
        window = found.get("in_next") or found.get("in_last")
        # Its own name: a standard feature of that name may count other events as visits.
        return Feature(
            f"field {name}",
            known.kind,
            types=self._types(found.get("types"), about),
            window_days=read.days(window),
            of_types=self._types(found.get("of_types"), about),
            closed_by=self._types(found.get("closed_by"), about),
            attribute=read.name(found.get("every_from"), "an attribute") or None,
            every_months=every.count if every and every.unit == "month" else None,
            every_days=every.count if every and every.unit == "day" else None,
        )

    def _fit(self, word: str, known: ComputedKind, found: Mapping[str, Node], node: Node) -> None:
        for key in known.needs:
            if key not in found:
                hint = "in_last: 90 days" if key == "in_last" else f"{key}: [appointment.kept]"
                self._read.fault("E105", f"{shown(word)} needs {shown(key)}", node, hint)
        for key in found.keys() - {"kind", "types", *known.needs, *known.may}:
            message = f"{shown(key)} can't be used with {shown(word)}"
            self._read.fault("E103", message, found[key])
        if "every" in known.may and not found.keys() & {"every", "every_from"}:
            self._read.fault("E105", f"{shown(word)} needs an interval", node, "every: 6 months")
        every = found.get("every")
        if every is not None and every.text.startswith("0 "):
            self._read.fault("E111", "an interval is at least one day", every)
