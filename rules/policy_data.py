"""The shipped policy numbers: quiet hours, caps, holdout, fatigue; dated, each with its source."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from engine.actions import PURPOSES
from engine.policy.settings import Cap, PolicyData, Window
from rules.reading import Reader
from rules.source import Node, parse, read_text, refuse

SHIPPED = Path(__file__).parent / "policy"
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SOURCED = ("format", "as_of", "source")
_ANY = "any"


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
class PolicyDocument:
    """The policy files as values.

    Attributes:
        settings: what the stages read.
        widest_window: minutes of the local day beyond which no tenant may widen a window.
        sources: one per file.
    """

    settings: PolicyData
    widest_window: tuple[int, int]
    sources: tuple[Sourced, ...]


def read_policy(folder: Path = SHIPPED) -> PolicyDocument:
    """The policy in a folder; raises InvalidRules with every finding of the first faulty file."""
    hours, caps = _File(folder / "quiet_hours.yaml"), _File(folder / "frequency_caps.yaml")
    experiment, fatigue = _File(folder / "experiment.yaml"), _File(folder / "fatigue.yaml")
    windows, widest = _hours(hours)
    limits = _caps(caps)
    shares = _shares(experiment)
    settings = PolicyData(
        windows=windows,
        caps=limits,
        holdout_share=shares["holdout_share"],
        fatigue_cents=_fatigue_cents(fatigue),
        exploration_floor=shares["exploration_floor"],
        digest="",
    )
    return PolicyDocument(
        settings=replace(settings, digest=policy_digest(settings)),
        widest_window=widest,
        sources=tuple(file.sourced for file in (hours, caps, experiment, fatigue)),
    )


def policy_digest(settings: PolicyData) -> str:
    """SHA-256 (hex) of the numbers, whatever `settings.digest` says."""
    numbers = {key: value for key, value in asdict(settings).items() if key != "digest"}
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()


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

    def done(self) -> None:
        refuse(self.findings, self.name)


def _hours(file: _File) -> tuple[tuple[Window, ...], tuple[int, int]]:
    found = file.settings("windows", "widest")
    widest = file.read.minutes(found.get("widest")) or (0, 24 * 60)
    days = {}
    if "windows" in found:
        days = file.read.settings(found["windows"], "windows", WEEKDAYS, WEEKDAYS)
    windows = tuple(_window(file, days.get(day), widest) for day in WEEKDAYS)
    file.done()
    return windows, widest


def _window(file: _File, node: Node | None, widest: tuple[int, int]) -> Window:
    if node is None or node.text == "none":
        return None
    window = file.read.minutes(node)
    if window is not None and (window[0] < widest[0] or window[1] > widest[1]):
        file.read.fault("E111", "this window exceeds the widest one allowed", node)
    return window


def _caps(file: _File) -> tuple[Cap, ...]:
    found = file.settings("caps")

    def cap(node: Node) -> Cap:
        words = ("purpose", "in", "at_most")
        line = file.read.settings(node, "a cap", words, words)
        return Cap(
            file.read.choice(line.get("purpose"), "purpose", (*PURPOSES, _ANY), _ANY),
            file.read.days(line.get("in")) or 1,
            file.read.whole(line.get("at_most"), 0, 0, 1000),
        )

    caps = file.read.each(found.get("caps"), "caps", cap)
    file.done()
    return caps


def _shares(file: _File) -> dict[str, float]:
    names = ("holdout_share", "exploration_floor")
    found = file.settings(*names)
    shares = {name: file.read.share(found.get(name), 0.0) for name in names}
    file.done()
    return shares


def _fatigue_cents(file: _File) -> float:
    found = file.settings("fatigue")
    cents, _ = file.read.money_cents(found.get("fatigue"))
    file.done()
    return cents
