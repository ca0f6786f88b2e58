"""An explanation as lines that a person reads from top to bottom."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from services.reason_words import money, name_of, reason_words


def explanation_lines(document: Mapping[str, Any]) -> list[str]:
    """Return a document of `explain_decision` or `explain_contact` as lines."""
    lines = [*_head(document)]
    told = document["explanation"]
    if told is None:
        lines.append(f"  {document['explanation_note']}")
        lines += [f"  {name_of(c)}: {reason_words(c['reason'])}" for c in document["candidates"]]
        return lines
    if document["explanation_note"]:
        lines.append(f"  note: {document['explanation_note']}")
    for candidate in told["candidates"]:
        lines += _candidate(candidate)
    if told["runner_up"]:
        second = told["runner_up"]
        lines.append(
            f"runner-up: {second['name']}, worth {money(second['score_cents'])}, "
            f"{money(second['behind_cents'])} behind"
        )
    if told["why_nothing"]:
        lines.append(f"why nothing: {told['why_nothing']}")
    return [*lines, *_changes(told), *_after(document)]


def _head(document: Mapping[str, Any]) -> Iterator[str]:
    if document["id"] is None:
        yield f"what would be decided for {document['contact_id']} as of {document['as_of']}"
    else:
        yield f"decision {document['id']} for {document['contact_id']} as of {document['as_of']}"
    health = document["health"]
    hazards = " / ".join(_share(health[f"hazard_{days}d"]) for days in (30, 60, 90))
    yield (
        f"  health     {'?' if health['score'] is None else health['score']} "
        f"(P(churn) in 30/60/90 days: {hazards}, {health['tier']})"
    )
    outcome = document["action"] or "do nothing"
    yield f"  outcome    {outcome}: {reason_words(document['reason'])}"
    if document["action"]:
        yield (
            f"  treatment  {document['channel']}, {document['slot']}, variant "
            f"{document['variant']}, chosen with probability "
            f"{document['selection_probability']:.3f}, to leave {document['send_at']}"
        )


def _candidate(candidate: Mapping[str, Any]) -> Iterator[str]:
    removed = candidate["removed_by"]
    verdict = f"out at {removed.replace('_', ' ')}" if removed else "chosen"
    yield f"{candidate['name']}: {verdict}, {candidate['words']}"
    if candidate["terms"] is None:
        return
    yield f"  proposed by {candidate['rule']}"
    for condition in candidate["conditions"]:
        mark = "yes" if condition["held"] else "no"
        unless = "unless " if condition["under"] == "unless" else ""
        values = ", ".join(f"{v['label']}: {v['value_words']}" for v in condition["values"])
        yield f"    {mark:<3} {unless}{condition['words']} ({values})"
    passed = [s["stage"].replace("_", " ") for s in candidate["stages"] if s["verdict"] == "passed"]
    yield f"  passed     {', '.join(passed) if passed else 'no stage'}"
    yield f"  worth      {_worth(candidate['terms'])}"


def _worth(terms: Mapping[str, Any]) -> str:
    effect, score = terms["effect"], terms["score_cents"]
    factors = "".join(
        f" x {terms[name]:g} {name}"
        for name in ("context", "lever", "capacity")
        if terms[name] != 1
    )
    return (
        f"{money(score['value'])}{_interval(score['low'], score['high'], money)} = "
        f"{effect['value']:.1%}{_interval(effect['low'], effect['high'], _percent)} effect "
        f"x {money(terms['value_cents'])} value{factors} - {money(terms['cost_cents'])} cost "
        f"- {money(terms['fatigue_cents'])} fatigue"
    )


def _interval(low: float | None, high: float | None, said: Callable[[float], str]) -> str:
    return "" if low is None or high is None else f" [{said(low)}, {said(high)}]"


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _changes(told: Mapping[str, Any]) -> Iterator[str]:
    smallest = told["smallest_change"]
    if smallest is None:
        yield "no change of one thing, or of a few together, was found that would flip the choice"
        return
    yield f"smallest change that would flip it: {_path(smallest)}"
    for other in told["other_changes"]:
        yield f"  or: {_path(other)}"


def _path(path: Mapping[str, Any]) -> str:
    steps: Sequence[Mapping[str, str]] = path["steps"]
    subject = "" if path["subject"] in {None, "contact"} else f" ({path['subject']})"
    then = f"{path['then']}{subject}" if path["then"] else "nothing"
    return f"{'; and '.join(step['words'] for step in steps)} -> {then}"


def _after(document: Mapping[str, Any]) -> Iterator[str]:
    send = document.get("send")
    if send and document["stored"]:
        reason = f", {send['reason']}" if send.get("reason") else ""
        yield f"message: {send['state']}{reason}"
    for outcome in document.get("outcomes") or ():
        yield f"followed by: {outcome['kind']} at {outcome['occurred_at']}"


def _share(value: float | None) -> str:
    return "?" if value is None else f"{value:.0%}"
