"""The sections of policy files by name, as the shipped files and a tenant write them."""

from collections.abc import Callable, Mapping
from typing import Any

from engine.actions import CHANNELS, PURPOSES
from engine.policy.settings import (
    Approval,
    Budget,
    Cap,
    Capacity,
    ContextWeight,
    CoolOff,
    Holiday,
    Household,
    Lever,
    LoweredCaps,
    Rest,
    Rollout,
    Window,
)
from rules.reading import MONTHS, Reader
from rules.source import Node

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PERIODS = ("month", "quarter", "year", "once")
_ANY = "any"
_LARGEST_FACTOR = 100.0
_MOST = 1_000_000

# settings of PolicyData by name
Fields = Mapping[str, Any]


def windows(read: Reader, node: Node, widest: tuple[int, int]) -> Fields:
    """Read `mon: 10:00-18:00` to `sun: none`, each within the widest window allowed."""
    days = read.settings(node, "windows", WEEKDAYS, WEEKDAYS)
    return {"windows": tuple(_window(read, days.get(day), widest) for day in WEEKDAYS)}


def _window(read: Reader, node: Node | None, widest: tuple[int, int]) -> Window:
    if node is None or node.text == "none":
        return None
    window = read.minutes(node)
    if window is not None and (window[0] < widest[0] or window[1] > widest[1]):
        read.fault("E111", "this window exceeds the widest one allowed", node)
    return window


def caps(read: Reader, node: Node) -> Fields:
    """Read caps; one over any purpose becomes one per purpose that counts what matters as much."""
    listed = read.each(node, "caps", lambda each: _cap(read, each))
    return {"caps": tuple(cap for group in listed for cap in group)}


def _cap(read: Reader, node: Node) -> tuple[Cap, ...]:
    words = ("purpose", "in", "at_most")
    line = read.settings(node, "a cap", words, words)
    purpose = read.choice(line.get("purpose"), "purpose", (*PURPOSES, _ANY), _ANY)
    days = read.days(line.get("in")) or 1
    most = read.whole(line.get("at_most"), 0, 0, 1000)
    if purpose != _ANY:
        return (Cap(purpose, days, most),)
    return tuple(
        Cap(each, days, most, counts=PURPOSES[: place + 1]) for place, each in enumerate(PURPOSES)
    )


def lowered(read: Reader, node: Node) -> Fields:
    words = ("unanswered", "in", "to", "purposes")
    found = read.settings(node, "lowered", words, words)
    return {
        "lowered": LoweredCaps(
            read.whole(found.get("unanswered"), 3, 1, 1000),
            read.days(found.get("in")) or 1,
            read.share(found.get("to"), 1.0),
            _purposes(read, found.get("purposes")),
        )
    }


def rest(read: Reader, node: Node) -> Fields:
    words = ("ignored", "in", "rest", "answer", "purposes")
    found = read.settings(node, "rest", words, words)
    return {
        "rest": Rest(
            read.whole(found.get("ignored"), 2, 1, 100),
            read.days(found.get("in")) or 1,
            read.days(found.get("rest")) or 0,
            read.days(found.get("answer")) or 0,
            _purposes(read, found.get("purposes")),
        )
    }


def cool_off(read: Reader, node: Node) -> Fields:
    def each(item: Node) -> CoolOff:
        words = ("after", "rest", "purposes")
        found = read.settings(item, "a cool-off", words, words)
        return CoolOff(
            read.name(found.get("after"), "an event"),
            read.days(found.get("rest")) or 0,
            _purposes(read, found.get("purposes")),
        )

    return {"cool_off": read.each(node, "cool_off", each)}


def groups(read: Reader, node: Node) -> Fields:
    names = ("holdout", "usual", "random")
    found = read.settings(node, "groups", names, names)
    shares = {name: read.share(found.get(name), 0.0) for name in names}
    if sum(shares.values()) > 1.0:
        read.fault("E111", "the groups together have more than all contacts", node, "holdout: 0.05")
    return {f"{name}_share": share for name, share in shares.items()}


def fatigue(read: Reader, node: Node) -> Fields:
    cents, _ = read.money_cents(node)
    return {"fatigue_cents": cents}


def exploration_floor(read: Reader, node: Node) -> Fields:
    return {"exploration_floor": read.share(node, 0.0)}


def full_value_from(read: Reader, node: Node) -> Fields:
    return {"full_value_from": read.share(node, 0.25)}


def contexts(read: Reader, node: Node) -> Fields:
    def each(item: Node) -> ContextWeight:
        words = ("after", "in", "on", "factor")
        found = read.settings(item, "a context", words, words)
        return ContextWeight(
            read.name(found.get("after"), "an event"),
            read.days(found.get("in")) or 0,
            read.each(found.get("on"), "on", lambda n: _pattern(read, n)),
            _number(read, found.get("factor"), 1.0, 0.0, _LARGEST_FACTOR),
        )

    return {"contexts": read.each(node, "contexts", each)}


def levers(read: Reader, node: Node) -> Fields:
    def each(item: Node) -> Lever:
        words = ("on", "percent", "until", "why")
        found = read.settings(item, "a lever", words, words)
        until = found.get("until")
        return Lever(
            _pattern(read, found.get("on")) or "",
            _number(read, found.get("percent"), 0.0, -100.0, _LARGEST_FACTOR * 100),
            "" if until is None else read.date(until) or "",
            read.text(found.get("why"), "why"),
        )

    return {"levers": read.each(node, "levers", each)}


def budgets(read: Reader, node: Node) -> Fields:
    def each(item: Node) -> Budget:
        words = ("name", "limit", "per", "gives")
        found = read.settings(item, "a budget", words, words)
        gives = found.get("gives")
        pairs = () if gives is None else tuple(gives.pairs)
        if gives is not None and gives.kind != "map":
            read.fault("E012", "gives says for each rule what its message gives", gives)
        return Budget(
            read.identifier(found.get("name"), "a budget"),
            _cents(read, found.get("limit")),
            read.choice(found.get("per"), "per", PERIODS, "month"),
            tuple((_pattern(read, key) or "", _cents(read, value)) for key, value in pairs),
        )

    listed = read.each(node, "budgets", each)
    if len({budget.name for budget in listed}) < len(listed):
        read.fault("E006", "two budgets have the same name", node, "delete one of them")
    return {"budgets": listed}


def capacity(read: Reader, node: Node) -> Fields:
    def each(item: Node) -> Capacity:
        words = ("goal", "places", "free", "until")
        found = read.settings(item, "a capacity", words, words)
        until = found.get("until")
        return Capacity(
            read.name(found.get("goal"), "an event"),
            read.whole(found.get("places"), 0, 0, _MOST),
            read.whole(found.get("free"), 0, 0, _MOST),
            "" if until is None else read.date(until) or "",
        )

    return {"capacity": read.each(node, "capacity", each)}


def rollout(read: Reader, node: Node) -> Fields:
    if node.kind != "map":
        read.fault("E012", "rollout says for each rule the share of contacts", node, '"*": 0.5')
        return {}
    shares = (Rollout(_pattern(read, key) or "", read.share(v, 1.0)) for key, v in node.pairs)
    return {"rollout": tuple(shares)}


def household(read: Reader, node: Node) -> Fields:
    words = ("in", "purposes")
    found = read.settings(node, "household", words, words)
    days = read.days(found.get("in")) or 0
    return {"household": Household(days, _purposes(read, found.get("purposes")))}


def approval(read: Reader, node: Node) -> Fields:
    words = ("give_above", "hazard_above")
    found = read.settings(node, "approval", words)
    give, hazard = found.get("give_above"), found.get("hazard_above")
    return {
        "approval": Approval(
            None if give is None else _cents(read, give),
            None if hazard is None else read.share(hazard, 1.0),
        )
    }


def closed(read: Reader, node: Node) -> Fields:
    """Read a tenant's own days on which nothing leaves, as ISO dates."""
    days = read.each(node, "closed", read.date)
    return {"holidays": tuple(Holiday("*", date=day) for day in days)}


def holidays(read: Reader, node: Node) -> Fields:
    return {"holidays": read.each(node, "holidays", lambda each: _holiday(read, each))}


def _holiday(read: Reader, node: Node) -> Holiday | None:
    words = ("name", "region", "on", "nth", "weekday", "month", "easter")
    found = read.settings(node, "a holiday", words, ("name", "region"))
    region = read.text(found.get("region"), "region")
    if "on" in found:
        month, day = divmod(read.month_day(found["on"]), 100)
        return Holiday(region, month=month, day=day) if month else None
    if "easter" in found:
        days = read.whole(found["easter"], 0, -100, 100)
        return Holiday(region, easter=days)
    nth = found.get("nth")
    last = nth is not None and nth.text == "last"
    name = read.choice(found.get("month"), "month", MONTHS, MONTHS[0])
    weekday = read.choice(found.get("weekday"), "weekday", WEEKDAYS, "mon")
    return Holiday(
        region,
        month=MONTHS.index(name) + 1,
        nth=-1 if last else read.whole(nth, 1, 1, 4),
        weekday=WEEKDAYS.index(weekday),
    )


def longest(read: Reader, node: Node) -> Fields:
    found = read.settings(node, "longest", CHANNELS)
    lengths = {name: read.whole(value, 160, 1, 100_000) for name, value in found.items()}
    return {"longest": tuple(sorted(lengths.items()))}


def _purposes(read: Reader, node: Node | None) -> tuple[str, ...]:
    return read.each(node, "purposes", lambda n: read.choice(n, "purpose", PURPOSES, "") or None)


def _pattern(read: Reader, node: Node | None) -> str | None:
    return read.text(node, "the name of a rule or *") or None


def _cents(read: Reader, node: Node | None) -> int:
    return int(read.money_cents(node)[0])


def _number(read: Reader, node: Node | None, default: float, low: float, high: float) -> float:
    found = None if node is None else read.number(node)
    if found is None or node is None:
        return default
    if not low <= found <= high:
        read.fault("E111", f"{node.text} is not a number from {low:g} to {high:g}", node)
        return default
    return float(found)


# what a tenant may set
TENANT_SECTIONS: Mapping[str, Callable[[Reader, Node], Fields]] = {
    "caps": caps,
    "lowered": lowered,
    "rest": rest,
    "cool_off": cool_off,
    "groups": groups,
    "exploration_floor": exploration_floor,
    "fatigue": fatigue,
    "contexts": contexts,
    "levers": levers,
    "budgets": budgets,
    "capacity": capacity,
    "full_value_from": full_value_from,
    "rollout": rollout,
    "household": household,
    "approval": approval,
    "closed": closed,
}
