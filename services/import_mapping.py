"""Reads a mapping file: which columns of a file become which fields of which records."""

import re
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from engine.actions import CHANNELS, PURPOSES
from engine.errors import InvalidInput, InvalidMapping, InvalidRules
from rules.findings import Findings, suggestion
from rules.reading import Reader
from rules.source import Node, parse, read_text
from services.import_kinds import ColumnUse, Mapping, TenantSection
from services.import_records import RecordReader

SHIPPED = Path(__file__).parent / "mappings"

NO_SUCH_ZONE, NO_SUCH_COLUMN, BAD_TIME_OF_DAY, BAD_DELIMITER = "E130", "E131", "E132", "E133"

_TOP = (
    "description", "tenant", "source", "time_zone", "offsets", "date_only", "formats",
    "delimiter", "contact_missing", "records",
)  # fmt: skip
_TENANT = (
    "name", "industry", "timezone", "visit_events", "sender", "rules", "implied_consent",
)  # fmt: skip
_PAIRS = tuple(f"{channel}:{purpose}" for channel in CHANNELS for purpose in PURPOSES)
_SENDER = ("name", "email", "postal_address", "phone")
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d\Z")
_ZONES = frozenset(available_timezones())


def load_mapping(name_or_path: str) -> Mapping:
    """Read a mapping by its shipped name ('clinic') or its path.

    Raises:
        InvalidInput: there is none.
        InvalidMapping: it has faults; carries all of them with line and column.
    """
    path = Path(name_or_path)
    shipped = SHIPPED / f"{name_or_path}.yaml"
    if re.fullmatch(r"[a-z0-9_-]+", name_or_path) and shipped.is_file():
        path = shipped
    if not path.is_file():
        names = sorted(found.stem for found in SHIPPED.glob("*.yaml"))
        raise InvalidInput(
            f"There is no mapping '{name_or_path}'.",
            hint=f"Give a path to a .yaml file or one of: {', '.join(names)}.",
        )
    try:
        text = read_text(path)
    except InvalidRules as error:
        raise _as_mapping_fault(error) from None
    return read_mapping(text, path.name)


def read_mapping(text: str, file: str) -> Mapping:
    """Read a mapping from its text; `file` is what findings call it.

    Raises:
        InvalidMapping: as `load_mapping`.
    """
    try:
        top, findings = parse(text, file)
    except InvalidRules as error:
        raise _as_mapping_fault(error) from None
    mapping = _MappingReader(findings).mapping(top, text, file)
    _refuse(findings)
    return mapping


def check_columns(mapping: Mapping, found: list[str]) -> None:
    """Check that a file has every column that the mapping names.

    Raises:
        InvalidMapping: names the missing ones, the nearest names and the columns found.
    """
    findings = Findings(mapping.file, mapping.text)
    told: set[str] = set()
    for use in mapping.uses:
        if use.name not in found and use.name not in told:
            told.add(use.name)
            near = suggestion(use.name, found)
            findings.add(
                NO_SUCH_COLUMN,
                f'the file has no column "{use.name}"',
                use.place,
                hint="" if near.startswith("use one of") else near,
            )
    _refuse(findings, f"; the file has the columns: {', '.join(found)}")


def _refuse(findings: Findings, more: str = "") -> None:
    found = findings.in_order()
    if found:
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        raise InvalidMapping(
            f"{count} in {findings.file}{more}",
            found,
            hint="docs/importing.md describes the format.",
        )


def _as_mapping_fault(error: InvalidRules) -> InvalidMapping:
    return InvalidMapping(error.message, error.findings, hint=error.hint)


class _MappingReader:
    """Reads the top of the file; records are read by RecordReader."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._reader = Reader(findings)
        self._uses: list[ColumnUse] = []

    def mapping(self, top: Node, text: str, file: str) -> Mapping:
        read = self._reader
        keys = read.settings(top, "a mapping", _TOP, ("time_zone", "records"))
        name = Path(file).stem
        records = RecordReader(read, self._uses)
        zone = self._zone(keys.get("time_zone"))
        offsets = read.choice(keys.get("offsets"), "offsets", ("honour", "ignore"), "honour")
        missing = read.choice(
            keys.get("contact_missing"), "contact_missing", ("anonymous", "reject"), "reject"
        )
        return Mapping(
            name=name,
            file=file,
            text=text,
            source=read.identifier(keys.get("source"), "a source") or name,
            time_zone=zone,
            records=records.records(keys.get("records")),
            ignore_offsets=offsets == "ignore",
            date_only=self._by_column(keys.get("date_only"), _TIME_OF_DAY),
            formats=self._by_column(keys.get("formats"), None),
            delimiter=self._delimiter(keys.get("delimiter")),
            anonymous=missing == "anonymous",
            tenant=self._tenant(keys.get("tenant"), zone),
            uses=tuple(self._uses),
        )

    def _zone(self, node: Node | None) -> str:
        if node is None:
            return "UTC"
        zone = self._reader.text(node, "a time zone")
        if zone and zone not in _ZONES:
            self._reader.fault(
                NO_SUCH_ZONE, f'there is no time zone "{zone}"', node, suggestion(zone, _ZONES)
            )
            return "UTC"
        return zone or "UTC"

    def _delimiter(self, node: Node | None) -> str:
        # a tab is written as the word: the file itself may hold none
        if node is None:
            return ","
        text = "\t" if node.text == "tab" else node.text
        if len(text) != 1 or text in '"\n':
            self._reader.fault(
                BAD_DELIMITER, "a delimiter is one character", node, 'delimiter: ";"'
            )
            return ","
        return text

    def _by_column(self, node: Node | None, form: re.Pattern[str] | None) -> dict[str, str]:
        if node is None:
            return {}
        if node.kind != "map":
            self._reader.fault("E012", "this is a group of settings (column: value)", node)
            return {}
        for key, value in node.pairs:
            self._uses.append(ColumnUse(key.text, key.place))
            if form is not None and not form.match(value.text):
                self._reader.fault(
                    BAD_TIME_OF_DAY, "this is a time of day in quotes", value, '"12:00"'
                )
        return {key.text: value.text for key, value in node.pairs}

    def _tenant(self, node: Node | None, zone: str) -> TenantSection | None:
        if node is None:
            return None
        read = self._reader
        keys = read.settings(node, "tenant", _TENANT, ("name",))
        settings: dict[str, Any] = {"timezone": zone}
        if "timezone" in keys:
            settings["timezone"] = self._zone(keys["timezone"])
        if "visit_events" in keys:
            events = read.items(keys["visit_events"], "visit_events")
            settings["visit_events"] = [read.name(event, "an event") for event in events]
        if "sender" in keys:
            sender = read.settings(keys["sender"], "sender", _SENDER, ("name",))
            settings["sender"] = {key: read.text(value, key) for key, value in sender.items()}
        if "implied_consent" in keys:
            settings["implied_consent"] = self._implied(keys["implied_consent"])
        if "rules" in keys:
            settings["rules"] = read.text(keys["rules"], "rules")
        industry = keys.get("industry")
        return TenantSection(
            name=read.text(keys.get("name"), "a name"),
            industry=None if industry is None else read.identifier(industry, "an industry"),
            settings=settings,
        )

    def _implied(self, node: Node) -> dict[str, str]:
        """Basis per 'channel:purpose', for a tenant that relies on an existing relationship."""
        known = self._reader.settings(node, "implied_consent", _PAIRS, ())
        return {pair: self._reader.text(basis, "a basis") for pair, basis in known.items()}


def list_mappings() -> list[str]:
    """Names of the mappings that come with the product."""
    return sorted(found.stem for found in SHIPPED.glob("*.yaml"))
