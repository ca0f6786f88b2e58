"""`keepwell rules`: explain and why-not, which look at one contact."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, On, Tenant, moment_of, run_for
from cli.output import console, errors_told, print_json
from engine.errors import NotFound
from engine.ids import TenantId
from rules.wording import counted
from services.explain_rule import explain_rule
from services.rule_texts import RuleTexts, file_texts
from services.why_not import why_not
from services.wiring import Runtime

Contact = Annotated[str, typer.Argument(help="The contact: its id, or external:<id>.")]
TrialFile = Annotated[
    Path | None,
    typer.Option("--file", help="A rules file to try in place of the one of its name in force."),
]


def explain_command(
    rule: Annotated[str, typer.Argument(help="Id of the rule.")],
    contact: Contact,
    tenant: Tenant,
    on: On = None,
    file: TrialFile = None,
    as_json: AsJson = False,
) -> None:
    """Say why a rule does or doesn't propose for a contact, and what the policy says of it."""
    with errors_told():
        moment, texts = moment_of(on), trial_texts(file)

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await explain_rule(
            connection, runtime, tenant_id, rule, contact, as_of=moment, file=texts
        )

    document = run_for(tenant, use)
    if as_json:
        print_json(document)
        return
    for line in explained(document):
        console.print(line, markup=False)


def why_not_command(
    contact: Contact,
    tenant: Tenant,
    on: On = None,
    file: TrialFile = None,
    limit: Annotated[int, typer.Option(min=1, help="How many rules to show.")] = 10,
    as_json: AsJson = False,
) -> None:
    """List the rules nearest to proposing for a contact, each with what is missing."""
    with errors_told():
        moment, texts = moment_of(on), trial_texts(file)

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await why_not(connection, runtime, tenant_id, contact, as_of=moment, file=texts)

    document = run_for(tenant, use)
    if as_json:
        print_json(document)
        return
    for line in nearest_lines(document, limit):
        console.print(line, markup=False)


def trial_texts(file: Path | None) -> RuleTexts | None:
    """The texts of a rules file that is tried; None without one.

    Raises:
        NotFound: there is no such file.
        InvalidRules: it has faults.
    """
    if file is None:
        return None
    if not file.is_file():
        raise NotFound(f"There is no file '{file}'.")
    return file_texts(file, file.stem)


# ----------------------------------------------------------------------------------- explain


def explained(document: dict[str, Any]) -> list[str]:
    """An explanation as lines for people."""
    rule = document["rule"]
    verdict = "proposes" if document["proposes"] else "does not propose"
    at = _day(document["as_of"], document["time_zone"])
    lines = [
        f"{rule['id']} ({rule['status']}, {rule['source']}): {rule['title']}",
        f"for {document['contact_id']} at {at} it {verdict} {rule['action']}",
    ]
    if not document["subjects"]:
        lines.append(f"  no {rule['about']} is open")
    for subject in document["subjects"]:
        if subject["subject"] is not None:
            word = "proposes" if subject["proposes"] else "quiet"
            lines.append(f"  {subject['subject']}: {word}")
        for condition in subject["conditions"]:
            lines += _condition_lines(condition)
    return [*lines, *_policy_lines(document), *_decision_lines(document)]


def _condition_lines(condition: dict[str, Any]) -> list[str]:
    mark = "✗" if condition["in_the_way"] else "✓"
    unless = "unless " if condition["under"] == "unless" else ""
    because = f" ({condition['because']})" if condition["because"] else ""
    lines = [f"  {mark} {unless}{condition['words']}{because}"]
    for value in condition["values"]:
        held = "holds" if value["held"] else "does not hold"
        asked = value["threshold_words"]
        lines.append(f"      {value['label']} is {value['value_words']}, asked: {asked}: {held}")
    if condition["events"]:
        shown = ", ".join(f"{e['at'][:10]} {e['label']}" for e in condition["events"])
        more = condition["events_counted"] - len(condition["events"])
        lines.append(f"      events: {shown}" + (f" and {more} more" if more else ""))
    return lines


def _policy_lines(document: dict[str, Any]) -> list[str]:
    policy = document["policy"]
    verdict = "lets it through" if policy["allowed"] else "stops it"
    if not document["proposes"]:
        verdict = "would let it through" if policy["allowed"] else "would stop it"
    where = "" if policy["removed_by"] is None else f": {policy['removed_by']}, {policy['reason']}"
    since = policy["last_contact_days"]
    last = "never contacted by it" if since is None else f"last contact {since:.1f} days ago"
    channels = ", ".join(
        each["channel"] + (" open" if each["allowed"] else f" {each['reason']}")
        for each in policy["channels"]
    )
    caps = ", ".join(
        f"{cap['sent']} of {cap['max_count']} in {counted(cap['window_days'], 'day')}"
        for cap in policy["caps"]
    )
    lines = [
        f"the policy {verdict}{where}",
        f"  channels   {channels}",
        f"  cooldown   {counted(policy['cooldown_days'], 'day')}, {last}",
        f"  caps       {caps}",
        f"  holdout    {'yes: never contacted' if policy['holdout'] else 'no'}",
    ]
    if policy["send_at"] is not None:
        sent = _day(policy["send_at"], document["time_zone"])
        lines.append(f"  would go   by {policy['channel']}, {sent}")
    if policy["needs_approval"]:
        lines.append("  approval   waits for a person")
    return lines


def _decision_lines(document: dict[str, Any]) -> list[str]:
    decision = document["decision"]
    lines = [f"decided with all rules: {decision['action'] or 'nothing'}, {decision['reason']}"]
    for each in decision["candidates_of_this_rule"]:
        verdict = "chosen"
        if each["removed_by"] is not None:
            verdict = f"removed by {each['removed_by']}: {each['reason']}"
        lines.append(f"  this rule's candidate is worth {each['score_cents'] / 100:.2f}, {verdict}")
    return lines


# ----------------------------------------------------------------------------------- why not


def nearest_lines(document: dict[str, Any], limit: int) -> list[str]:
    """The nearest rules as lines for people."""
    decision, rules = document["decision"], document["rules"]
    lines = [
        f"{document['contact_id']} at {_day(document['as_of'], document['time_zone'])}: "
        f"{decision['action'] or 'nothing'}, {decision['reason']} ({document['source']})"
    ]
    for rule in rules[:limit]:
        subject = "" if rule["subject"] is None else f" for {rule['subject']}"
        lines.append(f"{rule['rule']}{subject}: {_verdict(rule)}")
        lines += [f"  missing    {words}" for words in rule["missing"]]
        if rule["changes"]:
            lines.append(f"  it takes   {' and '.join(rule['changes'])}")
        if rule["proposes_from"] is not None:
            since = _day(rule["proposes_from"], document["time_zone"])
            lines.append(f"  by itself  from {since} on, if nothing happens")
    if len(rules) > limit:
        lines.append(f"and {len(rules) - limit} more rules, further away")
    return lines


def _verdict(rule: dict[str, Any]) -> str:
    if rule["proposes"]:
        stopped = rule["stopped_by"]
        return "proposes" + (f", removed by {stopped}: {rule['reason']}" if stopped else "")
    if not rule["changes"]:
        return "nothing known makes it propose"
    return counted(len(rule["changes"]), "thing") + " missing"


def _day(moment: str, zone: str) -> str:
    local = datetime.fromisoformat(moment).astimezone(ZoneInfo(zone))
    return f"{local:%Y-%m-%d %H:%M} ({zone})"
