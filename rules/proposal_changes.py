"""What changed in a proposal, in words."""

from collections.abc import Iterator, Sequence

from rules.document import ActionProposal

_MINUTES_IN_HOUR = 60


def proposal_changes(old: ActionProposal, new: ActionProposal) -> Iterator[str]:
    """Every change of `then`, e.g. 'value 120.00 → 90.00 USD', 'channel added: email'."""
    yield from changed("action", old.action, new.action)
    yield from changed("template", old.template, new.template)
    yield from changed("purpose", old.purpose, new.purpose)
    yield from listed("channel", old.channels, new.channels)
    yield from _money("value", old.value_cents, new.value_cents, old.currency, new.currency)
    yield from _costs(old, new)
    one, two = old.expect, new.expect
    yield from changed("expected if contacted", f"{one.if_contacted:g}", f"{two.if_contacted:g}")
    yield from changed("expected if left alone", f"{one.if_left:g}", f"{two.if_left:g}")
    yield from changed("weight of the expectation", str(one.weight), str(two.weight))
    goals = (f"{then.goal.event} within {then.goal.within_days} days" for then in (old, new))
    yield from changed("goal", *goals)
    yield from listed("still", _still(old), _still(new))
    yield from changed("priority", str(old.priority), str(new.priority))
    approvals = ("needed" if then.needs_approval else "not needed" for then in (old, new))
    yield from changed("approval", *approvals)


def changed(name: str, old: str, new: str) -> Iterator[str]:
    """'name: old → new' if they differ."""
    if old != new:
        yield f"{name}: {old} → {new}"


def listed(name: str, old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """What was added and removed; if only the order differs, both orders."""
    yield from (f"{name} added: {item}" for item in new if item not in old)
    yield from (f"{name} removed: {item}" for item in old if item not in new)
    if set(old) == set(new) and tuple(old) != tuple(new):
        yield f"order of {name}: {', '.join(old)} → {', '.join(new)}"


def clock(minutes: tuple[int, int] | None) -> str:
    """A window of the local day, e.g. '10:00-18:00'."""
    if minutes is None:
        return "the usual hours"
    return "-".join(f"{m // _MINUTES_IN_HOUR:02}:{m % _MINUTES_IN_HOUR:02}" for m in minutes)


def _costs(old: ActionProposal, new: ActionProposal) -> Iterator[str]:
    before, after = dict(old.cost_cents), dict(new.cost_cents)
    for channel, cents in before.items():
        if channel in after:
            name = f"cost of {channel}"
            yield from _money(name, cents, after[channel], old.currency, new.currency)


def _money(name: str, old: float, new: float, currency: str, new_currency: str) -> Iterator[str]:
    if currency != new_currency:
        yield f"{name} {_amount(old)} {currency} → {_amount(new)} {new_currency}"
    elif old != new:
        yield f"{name} {_amount(old)} → {_amount(new)} {currency}"


def _amount(cents: float) -> str:
    """Two decimals, more only for parts of a cent."""
    whole = f"{cents / 100:.2f}"
    return whole if float(whole) * 100 == cents else f"{cents / 100:.6f}".rstrip("0")


def _still(then: ActionProposal) -> list[str]:
    return [
        f"{fact.kind} {fact.event}" + (f" about this {fact.about}" if fact.about else "")
        for fact in then.still
    ]
