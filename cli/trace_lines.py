"""A decision as a few lines: what the demo shows of one."""

from collections.abc import Mapping
from typing import Any

from cli.options import Document


def trace_lines(document: Document) -> list[str]:
    """Return a decision with its candidates as lines, one or two each."""
    health, send = document["health"], document["send"]
    hazards = " / ".join(_share(health[f"hazard_{days}d"]) for days in (30, 60, 90))
    lines = [
        f"decision {document['id']}",
        f"  contact    {document['contact_id']} as of {document['as_of']}",
        f"  health     {health['score']} (P(churn) in 30/60/90 days: {hazards}, {health['tier']})",
        f"  outcome    {_named(document)}: {document['reason']}",
    ]
    if document["action"]:
        lines += [
            f"  treatment  {document['channel']}, {document['slot']}, variant "
            f"{document['variant']}, chosen with probability "
            f"{document['selection_probability']:.3f}, to leave {document['send_at']}",
            f"  worth      {document['score_cents'] / 100:.2f} at the channel's cost of "
            f"{document['treatment']['cost_cents'] / 100:.2f}",
        ]
    lines.append("  candidates")
    for each in document["candidates"]:
        name = _named(each)
        verdict = f"{each['removed_by']}: {each['reason']}" if each["removed_by"] else "chosen"
        lines.append(f"    {name:<24} {each['score_cents'] / 100:>9.2f}  {verdict}")
        if each["action"]:
            lines.append(
                f"      {each['effect']:+.3f} [{each['effect_low']:+.3f}, "
                f"{each['effect_high']:+.3f}] x {each['value_cents'] / 100:.2f} "
                f"- {each['cost_cents'] / 100:.2f} cost - {each['fatigue_cents'] / 100:.2f} "
                f"fatigue; {each['channels']}"
            )
    if send:
        state = send.get("state") or send.get("status")
        lines.append(f"  message    {state} {send.get('reason') or send.get('detail') or ''}")
    return lines


def _named(each: Mapping[str, Any]) -> str:
    """The action, with what it is about where that is not the contact: 'renewal (contract:7)'."""
    about = each["subject"]
    name = each["action"] or "do nothing"
    return name if about in {None, "contact"} else f"{name} ({about})"


def _share(value: float | None) -> str:
    return "?" if value is None else f"{value:.0%}"
