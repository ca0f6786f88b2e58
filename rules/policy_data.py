"""The policy's numbers: as shipped, dated, each with its source, and as a tenant changed them."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from engine.policy.settings import Cap, LegalWindow, PolicyData, Window
from rules import policy_sections as sections
from rules.policy_sections import TENANT_SECTIONS, WEEKDAYS, Fields
from rules.reading import Reader
from rules.source import Node, parse, read_text, refuse

SHIPPED = Path(__file__).parent / "policy"
_SOURCED = ("format", "as_of", "source")
WINDOWS = "windows"
TENANT_MAY_SET = (WINDOWS, *TENANT_SECTIONS)


@dataclass(frozen=True, slots=True)
class Sourced:
    """Where numbers come from.

    Attributes:
        file: the file they stand in.
        as_of: ISO date on which the source was read.
        source: law, measurement or the product's own choice, in words.
    """

    file: str
    as_of: str
    source: str


@dataclass(frozen=True, slots=True)
class LegalClass:
    """Limits of an industry that no tenant of it may loosen."""

    industries: tuple[str, ...]
    caps: tuple[Cap, ...]
    longest: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """The policy files as values.

    Attributes:
        settings: what the stages read, for a tenant of no industry who has set nothing.
        widest_window: minutes of the local day beyond which no tenant may widen a window.
        legal_class: of healthcare.
        sources: one per file.
    """

    settings: PolicyData
    widest_window: tuple[int, int]
    legal_class: LegalClass
    sources: tuple[Sourced, ...]


def read_policy(folder: Path = SHIPPED) -> PolicyDocument:
    """The policy in a folder; raises InvalidRules with every finding of the first faulty file."""
    hours = _File(folder / "quiet_hours.yaml")
    windows, widest = _hours(hours)
    fields: dict[str, Any] = dict(windows)
    files = [hours]
    for name in (
        "frequency_caps", "suppression", "experiment", "fatigue", "contexts", "household",
        "capacity", "approval",
    ):  # fmt: skip
        file = _File(folder / f"{name}.yaml")
        fields |= file.sections(_SHIPPED_IN[name])
        files.append(file)
    for name, read in (("legal_windows", _legal), ("holidays", _holidays)):
        file = _File(folder / f"{name}.yaml")
        fields |= read(file)
        files.append(file)
    healthcare = _File(folder / "healthcare_class.yaml")
    legal_class = _class(healthcare)
    files.append(healthcare)
    settings = PolicyData(digest="", **fields)
    return PolicyDocument(
        settings=_digested(settings),
        widest_window=widest,
        legal_class=legal_class,
        sources=tuple(file.sourced for file in files),
    )


_SHIPPED_IN: Mapping[str, tuple[str, ...]] = {
    "frequency_caps": ("caps", "lowered"),
    "suppression": ("rest", "cool_off"),
    "experiment": ("groups", "exploration_floor"),
    "fatigue": ("fatigue",),
    "contexts": ("contexts",),
    "household": ("household",),
    "capacity": ("full_value_from",),
    "approval": ("approval",),
}


def tenant_policy(
    document: PolicyDocument, changed: Mapping[str, Any], industry: str | None
) -> PolicyData:
    """Return the numbers of a tenant: the shipped ones with the sections that it has changed.

    `changed` has plain values as `policy_values` returns them.

    Raises:
        InvalidRules: a section that nobody knows, or a value that makes no sense.
    """
    fields: dict[str, Any] = {}
    if changed:
        text = json.dumps(changed, indent=1, ensure_ascii=False)
        top, findings = parse(text, "policy")
        read = Reader(findings)
        for name, node in read.settings(top, "the policy", TENANT_MAY_SET).items():
            fields |= _section(name, document.widest_window)(read, node)
        refuse(findings, "policy")
    settings = replace(document.settings, **fields)
    if "holidays" in fields:  # the tenant's own days beside everybody's
        settings = replace(settings, holidays=document.settings.holidays + fields["holidays"])
    legal = document.legal_class
    if industry in legal.industries:
        added = tuple(cap for cap in legal.caps if cap not in settings.caps)
        settings = replace(settings, caps=settings.caps + added, longest=legal.longest)
    return _digested(settings)


def policy_values(text: str, file: str) -> dict[str, Any]:
    """Return the sections of a tenant's policy file as plain values: texts, lists, maps.

    Raises:
        InvalidRules: it is no plain YAML document.
    """
    top, _ = parse(text, file)
    return {key.text: _plain(value) for key, value in top.pairs if key.text != "format"}


def _plain(node: Node) -> object:
    if node.kind == "list":
        return [_plain(item) for item in node.items]
    if node.kind == "map":
        return {key.text: _plain(value) for key, value in node.pairs}
    return node.text


def policy_digest(settings: PolicyData) -> str:
    """SHA-256 (hex) of the numbers, whatever `settings.digest` says."""
    numbers = {key: value for key, value in asdict(settings).items() if key != "digest"}
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()


def _digested(settings: PolicyData) -> PolicyData:
    return replace(settings, digest=policy_digest(settings))


class _File:
    """One policy file, read and open for findings."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.top, self.findings = parse(read_text(path), path.name)
        self.read = Reader(self.findings)
        self.sourced = Sourced(path.name, "", "")

    def settings(self, *names: str) -> dict[str, Node]:
        """The settings of the file, its date and source set aside."""
        found = self.read.settings(self.top, "this file", (*_SOURCED, *names), (*_SOURCED, *names))
        as_of = self.read.date(found["as_of"]) if "as_of" in found else None
        source = self.read.text(found.get("source"), "source")
        self.sourced = Sourced(self.name, as_of or "", source)
        return found

    def sections(self, names: tuple[str, ...]) -> dict[str, Any]:
        """What the named sections of the file say."""
        found = self.settings(*names)
        fields: dict[str, Any] = {}
        for name in names:
            if name in found:
                fields |= TENANT_SECTIONS[name](self.read, found[name])
        self.done()
        return fields

    def done(self) -> None:
        refuse(self.findings, self.name)


def _section(name: str, widest: tuple[int, int]) -> Callable[[Reader, Node], Fields]:
    if name == WINDOWS:
        return partial(sections.windows, widest=widest)
    return TENANT_SECTIONS[name]


def _hours(file: _File) -> tuple[Fields, tuple[int, int]]:
    found = file.settings(WINDOWS, "widest")
    widest = file.read.minutes(found.get("widest")) or (0, 24 * 60)
    windows: Fields = {WINDOWS: ()}
    if WINDOWS in found:
        windows = sections.windows(file.read, found[WINDOWS], widest)
    file.done()
    return windows, widest


def _legal(file: _File) -> Fields:
    found = file.settings("regions")
    read = file.read

    def region(node: Node) -> LegalWindow:
        words = ("region", "daily", *WEEKDAYS)
        line = read.settings(node, "a region", words, ("region", "daily"))

        def window(day: str) -> Window:
            told = line.get(day, line.get("daily"))
            return None if told is None or told.text == "none" else read.minutes(told)

        mon, tue, wed, thu, fri, sat, sun = (window(day) for day in WEEKDAYS)
        week = (mon, tue, wed, thu, fri, sat, sun)
        return LegalWindow(read.text(line.get("region"), "region"), week)

    listed = read.each(found.get("regions"), "regions", region)
    file.done()
    return {"legal": listed}


def _holidays(file: _File) -> Fields:
    found = file.settings("holidays")
    fields = sections.holidays(file.read, found["holidays"]) if "holidays" in found else {}
    file.done()
    return fields


def _class(file: _File) -> LegalClass:
    found = file.settings("industries", "longest", "caps")
    read = file.read
    industries = read.each(found.get("industries"), "industries", lambda n: read.text(n, "one"))
    fields: dict[str, Any] = {}
    for name, section in (("caps", sections.caps), ("longest", sections.longest)):
        if name in found:
            fields |= section(read, found[name])
    file.done()
    return LegalClass(industries, fields.get("caps", ()), fields.get("longest", ()))
