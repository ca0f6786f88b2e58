"""Every shipped rule with its own examples, through the services on a real database.

Each example becomes a contact with the fields and events that it tells. A firing one has a
candidate with the rule's action in the decision for one contact and in the batch; a quiet one has
none; and where nothing stands in for a computation the two decisions are equal to the bit.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import polars as pl
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.features.spec import CONTACT, Scalar, SubjectKind
from engine.features.tables import FeatureTables
from engine.ids import ContactId
from engine.profile import Profile
from rules.compiled import compile_rules
from rules.document import Rule, RuleTest
from rules.example_rows import Given, given_of
from rules.includes import PACKS
from rules.merged import merge_rule_sets
from services.attributes import HEALTH_PREFIX
from services.decision_rows import Recorded, decision_rows
from services.evaluate import columns_of, evaluate, health_columns, score_before
from services.health_estimate import estimate_health
from services.playbook import Playbook, playbook_with
from services.profiles import Part, one_profile, some_profiles
from services.propose import Matched, matched_one_by_one, matched_together
from services.rule_texts import pack_texts, parse_texts
from store.playbooks import get_versions
from tests.factories.practice import Practice

pytestmark = pytest.mark.integration

INDUSTRIES = ("common", "healthcare", "professional_services", "retail", "trades")
# what made the subject of an example known, where its own events do not say
# fields of the packs that hold several texts
LISTS = ("contact.tags", "account.services")
OPENED, TOLD = "subject.opened", "subject.told"


@dataclass(frozen=True)
class Example:
    rule: Rule
    test: RuleTest
    given: Given
    contact_id: UUID

    @property
    def name(self) -> str:
        return f"{self.rule.id}: {self.test.name}"

    @property
    def health(self) -> dict[str, float]:
        """What it says of the health model, which no event can bring about."""
        told = self.given.attributes.items()
        return {name: float(v) for name, v in told if name.startswith(HEALTH_PREFIX)}  # type: ignore[arg-type]


@pytest.mark.parametrize("industry", INDUSTRIES)
async def test_every_shipped_rule_proposes_in_a_decision_as_its_examples_say(
    practice: Practice, industry: str
) -> None:
    rule_set = merge_rule_sets(
        [
            parse_texts(pack_texts(f"{industry}/{path.stem}"))
            for path in sorted((PACKS / industry).glob("*.yaml"))
            if not path.name.endswith(".vocab.yaml")
        ]
    )
    examples = [
        Example(rule, test, given_of(test, rule_set.vocabulary, rule.subject), uuid4())
        for rule in rule_set.rules
        for test in rule.tests
        if test.expect != "todo"
    ]
    assert {example.rule.id for example in examples} == {rule.id for rule in rule_set.rules}
    async with practice.transaction() as connection:
        rules = compile_rules(rule_set, every_status=True)
        kinds = tuple(
            SubjectKind(k.name, (*k.opened_by, OPENED), k.closed_by) for k in rules.subject_kinds
        )
        versions = await get_versions(connection, practice.now())
        playbook = await playbook_with(
            connection, practice.tenant_id, versions, replace(rules, subject_kinds=kinds)
        )
        specs = [
            spec if spec.property is None else replace(spec, types=(*spec.types, OPENED, TOLD))
            for spec in playbook.specs
        ]
        playbook = replace(
            playbook, specs=tuple(specs), event_types=(*playbook.event_types, OPENED, TOLD)
        )
        await load(connection, practice, examples)
        wrong = [fault async for fault in faults(connection, playbook, examples)]
    assert not wrong, "\n".join(wrong)


async def faults(connection: AsyncConnection, playbook: Playbook, examples: list[Example]) -> Any:
    by_moment: dict[datetime, list[Example]] = defaultdict(list)
    for example in examples:
        by_moment[example.given.as_of].append(example)
    for moment, listed in by_moment.items():
        of = {str(example.contact_id): example for example in listed}
        of_day = replace(playbook, **holidays_of(playbook, listed))
        part = await some_profiles(connection, of_day, moment, list(of))
        assert [profile.contact_id for profile in part.profiles] == sorted(of)
        in_order = [of[profile.contact_id] for profile in part.profiles]
        alone = [
            (await one_profile(connection, of_day, ContactId(UUID(contact)), moment))[0]
            for contact in sorted(of)
        ]
        for fault in (
            *unlike(of_day, moment, in_order, alone, part),
            *otherwise(of_day, in_order, alone, part.tables),
        ):
            yield fault


def unlike(
    playbook: Playbook, moment: datetime, examples: list[Example], alone: list[Profile], part: Part
) -> Iterator[str]:
    """Where a contact alone is not what it is in the batch."""
    together = recorded(playbook, part.profiles, part.tables, moment)
    singly = recorded(playbook, alone, None, moment)
    for example, profile, single, other, expected in zip(
        examples, alone, singly, part.profiles, together, strict=True
    ):
        if profile != other:
            yield f"{example.name}: the profile alone is not that of the batch"
        if single != expected:
            yield f"{example.name}: the decision alone is not that of the batch"
        action = example.rule.then.action
        fires = example.test.expect == "fires" and not (example.given.fixed or example.health)
        if fires and action not in {each["action"] for each in single.candidates}:
            yield f"{example.name}: the decision has no candidate {action}"


def recorded(
    playbook: Playbook, profiles: list[Profile], tables: FeatureTables | None, moment: datetime
) -> list[Recorded]:
    evaluated = evaluate(playbook, profiles, tables, as_of=moment)
    return decision_rows(playbook, evaluated, as_of=moment, trigger="run", run_id=None)


def otherwise(
    playbook: Playbook, examples: list[Example], alone: list[Profile], tables: FeatureTables
) -> Iterator[str]:
    """Where a rule does not say what its example says, with what stands in for a computation."""
    stood = [stood_in(e, p) for e, p in zip(examples, alone, strict=True)]
    told = proposals(playbook, stood, tables_stood_in(tables, examples), examples)
    for number, example in enumerate(examples):
        subject = CONTACT if example.rule.subject == CONTACT else f"{example.rule.subject}:1"
        for way, found in told.items():
            proposed = (number, example.rule.id, subject) in found
            if proposed is not (example.test.expect == "fires"):
                yield f"{example.name}: {'proposes' if proposed else 'quiet'} {way}"


def holidays_of(playbook: Playbook, listed: list[Example]) -> dict[str, Any]:
    """The tenant keeps the holidays of the United States where an example speaks of one."""
    kept = "US" if any(example.test.holiday for example in listed) else None
    return {"settings": replace(playbook.settings, holidays=kept)}


def proposals(
    playbook: Playbook, alone: list[Profile], tables: FeatureTables, examples: list[Example]
) -> dict[str, set[tuple[int, str, str]]]:
    estimate = estimate_health(playbook, columns_of(alone, playbook))
    health = health_columns(estimate, score_before([profile.row for profile in alone]))
    for number, example in enumerate(examples):
        for name, value in example.health.items():
            health[name] = health[name].copy()
            health[name][number] = value
    return {
        "alone": set(listed(playbook, matched_one_by_one(playbook.rules, alone, health, None))),
        "in the batch": set(
            listed(playbook, matched_together(playbook.rules, tables, health, None))
        ),
    }


def listed(playbook: Playbook, matched: Matched) -> Iterator[tuple[int, str, str]]:
    ids = playbook.rules.rule_ids
    for contact, rule, subject in zip(matched.contact, matched.rule, matched.subject, strict=True):
        yield int(contact), ids[rule], subject


# ---------------------------------------------------- what stands in for a computed field


def stood_in(example: Example, profile: Profile) -> Profile:
    fixed = example.given.fixed
    return replace(
        profile,
        row={**profile.row, **fixed},
        subjects=tuple(
            replace(s, row={**s.row, **fixed}) if s.subject.endswith(":1") else s
            for s in profile.subjects
        ),
    )


def tables_stood_in(tables: FeatureTables, examples: list[Example]) -> FeatureTables:
    fixed = {str(e.contact_id): e.given.fixed for e in examples if e.given.fixed}
    return FeatureTables(
        with_fixed(tables.contacts, fixed),
        {kind: with_fixed(table, fixed) for kind, table in tables.subjects.items()},
    )


def with_fixed(table: pl.DataFrame, fixed: Mapping[str, Mapping[str, Scalar]]) -> pl.DataFrame:
    for contact, values in fixed.items():
        mine = pl.col("contact_id") == contact
        if "subject" in table.columns:
            mine &= pl.col("subject").str.ends_with(":1")
        for name, value in values.items():
            if name in table.columns:
                kept = pl.col(name).cast(pl.Float64) if isinstance(value, float) else pl.col(name)
                table = table.with_columns(
                    pl.when(mine).then(pl.lit(value)).otherwise(kept).alias(name)
                )
    return table


# ------------------------------------------------------------- examples as rows of the CRM


async def load(connection: AsyncConnection, practice: Practice, examples: list[Example]) -> None:
    tenant = practice.tenant_id
    contacts = [contact_row(example, tenant) for example in examples]
    await run(
        connection,
        "INSERT INTO crm_accounts (id, tenant_id, name, state, custom_fields) "
        "VALUES (:id, :t, 'Home', :state, cast(:fields AS jsonb))",
        [account_row(example, tenant) for example in examples],
    )
    await run(
        connection,
        f"INSERT INTO crm_contacts ({', '.join(contacts[0])}, created_at) VALUES "
        f"({', '.join(':' + n for n in contacts[0])}, NULL)".replace(
            ":custom_fields", "cast(:custom_fields AS jsonb)"
        ),
        contacts,
    )
    told = [
        {"t": tenant, "c": example.contact_id, "s": uuid4(), "name": name, "value": value}
        for example in examples
        for name, value in example.given.attributes.items()
    ]
    await run(
        connection,
        "INSERT INTO keepwell.consents (tenant_id, contact_id, channel, purpose, status, basis, "
        "source, effective_at) VALUES (:t, :c, split_part(:name, '.', 2), "
        "split_part(:name, '.', 3), 'granted', 'test', 'test', '2000-01-01Z')",
        [each for each in told if each["name"].startswith("consent.") and each["value"]],
    )
    await run(
        connection,
        "WITH s AS (INSERT INTO customer_journey_stages (id, tenant_id, stage_name, stage_order) "
        "VALUES (:s, :t, :value, 1) RETURNING id) INSERT INTO customer_journey_progress "
        "(tenant_id, contact_id, journey_stage_id, entered_stage_date) "
        "SELECT :t, :c, id, '2000-01-01Z' FROM s",
        [each for each in told if each["name"] == "journey.stage"],
    )
    await run(
        connection,
        "INSERT INTO keepwell.events (tenant_id, source, external_id, contact_id, type, "
        "occurred_at, known_at, subject, amount_cents, starts_at, value, properties) VALUES "
        "(:t, 'test', :id, :c, :type, :at, :at, :subject, :amount, :starts, :value, "
        "cast(:properties AS jsonb))",
        [row for example in examples for row in event_rows(example, tenant)],
    )


def contact_row(example: Example, tenant: UUID) -> dict[str, Any]:
    row = {
        "id": example.contact_id, "tenant_id": tenant, "account_id": example.contact_id,
        "first_name": "Ada", "email": f"{example.contact_id}@example.com",
        "mobile_phone": "+12175550123", "timezone": "UTC", "preferred_contact_method": None,
        "do_not_call": False,
    }  # fmt: skip
    told = told_of(example, "contact")
    custom = {name: value for name, value in told.items() if name not in row}
    return row | {n: v for n, v in told.items() if n in row} | {"custom_fields": json.dumps(custom)}


def account_row(example: Example, tenant: UUID) -> dict[str, Any]:
    told = told_of(example, "account")
    state = told.pop("state", None)
    return {"id": example.contact_id, "t": tenant, "state": state, "fields": json.dumps(told)}


def told_of(example: Example, group: str) -> dict[str, Any]:
    """Attributes of the contact or the account, lists as JSON has them."""
    return {
        key.removeprefix(f"{group}."): value.split("\n")
        if isinstance(value, str) and key in LISTS
        else value
        for key, value in example.given.attributes.items()
        if key.startswith(f"{group}.")
    }


async def run(connection: AsyncConnection, statement: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(text(statement), rows)


def event_rows(example: Example, tenant: UUID) -> Iterator[dict[str, Any]]:
    given = example.given
    for event in given.events:
        kind, at = event.type, event.occurred_at
        if given.kind is not None and event.properties is not None:
            # the one that the example did not tell: long before the others
            kind = OPENED if event.type in given.kind.opened_by else TOLD
            at = given.as_of - timedelta(days=7300)
        yield {
            "t": tenant, "id": str(uuid4()), "c": example.contact_id, "type": kind, "at": at,
            "subject": event.subject, "amount": event.amount_cents, "starts": event.starts_at,
            "value": event.value, "properties": event.properties or "{}",
        }  # fmt: skip


def test_the_examples_are_many_enough_to_mean_something() -> None:
    rule_sets = [
        parse_texts(pack_texts(f"{path.parent.name}/{path.stem}"))
        for path in sorted(PACKS.rglob("*.yaml"))
        if not path.name.endswith(".vocab.yaml")
    ]
    outcomes = [t.expect for s in rule_sets for rule in s.rules for t in rule.tests]
    assert sum(len(s.rules) for s in rule_sets) >= 60
    assert min(outcomes.count("fires"), outcomes.count("quiet")) > 400
