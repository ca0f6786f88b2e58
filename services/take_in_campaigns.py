"""Take in the CRM's campaigns: those that run become rules in force, the others leave."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from content.own_texts import keep_own
from engine.errors import InvalidRules
from engine.ids import TenantId
from rules.document import Rule
from rules.rules_text import rules_text
from services.campaign_rules import FILE, JOINED, MEMBERS, Taken, campaign_rule, rule_id
from services.count_campaigns import count_campaigns
from services.night_job import begin_tonight
from services.playbook import health_policy
from services.publish_rules import Publication, checked_files, publish_rules
from services.release_rules import Signature
from services.rule_texts import RuleTexts
from services.rules_in_force import Contents, contents_of, locked_release
from services.wiring import Runtime
from store.campaigns import (
    Campaign,
    ask_members,
    list_campaigns,
    note_taken_in,
    set_campaign_status,
)
from store.decisions import finish_run
from store.health_settings import find_health_settings_json
from store.leases import get_moment
from store.message_texts import add_message_texts

_HEADING = "The campaigns of the CRM that run. Written by the product; change the campaign instead."
# what campaigns name, for vocabularies from before there were such names
_EVENTS = {
    "risk.raised": '{"label": "risk of leaving rose to a higher level", "value": '
    '{"label": "risk of leaving in 90 days", "from": "0", "to": "1"}, '
    '"origin": "analysis of health"}',
    "journey.changed": '{"label": "journey stage changed", "origin": "the product"}',
    JOINED: '{"label": "joined a campaign of the CRM"}',
}
_FIELDS = {
    MEMBERS: '{"type": "list", "label": "campaigns of the CRM that the contact is in"}',
}
_KIND = "campaigns"


async def take_in_campaigns(
    connection: AsyncConnection, tenant_id: TenantId, *, now: datetime, by: str
) -> dict[str, Any]:
    """Put the campaigns that run in force as rules; return what became of each.

    A campaign whose start has come begins, one whose end has come is over. One with a fault is
    not run, says why, and hinders no other. Members of a campaign that begins are looked at soon;
    doing it again changes nothing.

    Raises:
        NoRulesLeft: the last campaign is over and there are no other rules.
    """
    release = await locked_release(connection, tenant_id)
    said = await contents_of(connection, release)
    health = health_policy(await find_health_settings_json(connection, now + timedelta(days=1)))
    others, vocabulary = _others(said), _vocabulary(said)
    running: list[tuple[Campaign, Taken]] = []
    told: list[dict[str, Any]] = []
    for before in await list_campaigns(connection):
        campaign = await _in_time(connection, before, now)
        taken = Taken(None)
        if campaign.status == "running":
            found = campaign_rule(campaign, others, health, str(tenant_id))
            taken = _checked(found, vocabulary)
        if taken.rule is not None:
            running.append((campaign, taken))
            await _keep_texts(connection, tenant_id, taken)
        state = _state(campaign, taken)
        if state is not None:
            told.append(_told(campaign, state, taken))
            await note_taken_in(
                connection, tenant_id, campaign.id,
                rule=rule_id(campaign), state=state, faults=taken.faults,
            )  # fmt: skip
    number = await _published(connection, tenant_id, said, running, vocabulary, by)
    for campaign, taken in running:
        if campaign.state != "running" and _is_for_members(taken):
            await ask_members(connection, tenant_id, campaign.id, JOINED)
    return {"release": number, "campaigns": told}


async def _keep_texts(connection: AsyncConnection, tenant_id: TenantId, taken: Taken) -> None:
    if taken.texts and taken.rule is not None:
        template = str(taken.rule["then"]["template"])
        await add_message_texts(connection, tenant_id, template, taken.texts)
        keep_own(template, taken.texts)


async def _in_time(connection: AsyncConnection, campaign: Campaign, now: datetime) -> Campaign:
    """The campaign as its dates say: begun, or over."""
    status = campaign.status
    begins, ends = campaign.scheduled_start, campaign.scheduled_end
    if status == "scheduled" and begins is not None and begins <= now:
        status = "running"
    if status == "running" and ends is not None and ends <= now:
        status = "completed"
    if status == "running" and begins is not None and begins > now:
        status = "scheduled"  # it says it runs, and when it begins: not yet
    if status != campaign.status:
        await set_campaign_status(connection, campaign.id, status, now=now)
    return replace(campaign, status=status)


def _state(campaign: Campaign, taken: Taken) -> str | None:
    """What to note; None for a campaign that has never run and does not."""
    if campaign.status == "running":
        return "running" if taken.rule is not None else "refused"
    if campaign.state is None:
        return None
    return "ended" if campaign.status == "completed" else "resting"


def _told(campaign: Campaign, state: str, taken: Taken) -> dict[str, Any]:
    return {
        "id": str(campaign.id),
        "name": campaign.name,
        "state": state,
        "rule": rule_id(campaign),
        "faults": list(taken.faults),
    }


def _is_for_members(taken: Taken) -> bool:
    return taken.rule is not None and f"on {JOINED}" in taken.rule["check"]


def _others(said: Contents) -> Sequence[Rule]:
    """The tenant's rules less those of campaigns."""
    return [rule for rule in said.rule_set().rules if not rule.id.startswith("campaign.")]


def _vocabulary(said: Contents) -> str:
    """The words of the tenant's largest vocabulary, with those that campaigns need."""
    texts = [file.texts.vocabulary for file in said.files if file.name != FILE]
    found = max(texts, key=len, default="format: 1\nevents:\nfields:\n")
    for section, words in (("events", _EVENTS), ("fields", _FIELDS)):
        lines = [f'  "{name}": {value}' for name, value in words.items()
                 if f'\n  "{name}":' not in found]  # fmt: skip
        if lines:
            at = found.index(f"{section}:\n") + len(f"{section}:\n")
            found = found[:at] + "\n".join(lines) + "\n" + found[at:]
    return found


def _checked(taken: Taken, vocabulary: str) -> Taken:
    """The same, or its faults: conditions are read as those of any rules file."""
    if taken.rule is None:
        return taken
    try:
        checked_files([_file([taken], vocabulary)])
    except InvalidRules as error:
        faults = [f"{f.message}. {f.hint}".rstrip(". ") for f in error.findings
                  if f.severity == "error"]  # fmt: skip
        return Taken(None, faults=tuple(faults))
    return taken


def _file(taken: Sequence[Taken], vocabulary: str) -> RuleTexts:
    values = {
        "format": 1,
        "pack": FILE,
        "vocabulary": f"{FILE}.vocab.yaml",
        "days_are": "calendar days in the contact's time zone",
        "defaults": {"status": "live", "owner": "campaigns"},
        "rules": [each.rule for each in taken],
    }
    return RuleTexts(FILE, rules_text(values, _HEADING), vocabulary)


async def _published(
    connection: AsyncConnection,
    tenant_id: TenantId,
    said: Contents,
    running: Sequence[tuple[Campaign, Taken]],
    vocabulary: str,
    by: str,
) -> int | None:
    """The number of the release in force afterwards."""
    there = any(file.name == FILE for file in said.files)
    if not running and not there:
        return None
    ordered = sorted(running, key=lambda each: rule_id(each[0]))
    files = (_file([taken for _, taken in ordered], vocabulary),) if running else ()
    publication = Publication(files, () if running else (FILE,))
    signature = Signature(by, reason="campaigns of the CRM")
    published = await publish_rules(connection, tenant_id, publication, signature)
    return published.release.number if published.release else None


async def campaigns_tonight(runtime: Runtime, tenant_id: TenantId) -> None:
    """Take campaigns in once a night, and bring their counters up to date."""
    async with runtime.database.transaction(tenant_id) as connection:
        now = await get_moment(connection)
        run_id = await begin_tonight(connection, tenant_id, _KIND, now)
        if run_id is None:
            return
        counts = {"campaigns": 0}
        if await list_campaigns(connection):
            done = await take_in_campaigns(connection, tenant_id, now=now, by="keepwell: nightly")
            counts["campaigns"] = len(done["campaigns"])
            await count_campaigns(connection, tenant_id)
        await finish_run(connection, run_id, counts)
