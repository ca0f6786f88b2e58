"""The rules that a tool looks at: those in force, or a file in place of the one of its name."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from rules.compiled import compile_rules
from rules.document import Rule, RuleSet
from rules.findings import suggestion
from rules.merged import merge_rule_sets
from services.playbook import Playbook, playbook_with
from services.rule_texts import RuleTexts, flat_texts, parse_texts
from services.rules_in_force import RuleNotFound, contents, contents_of, ensure_rules
from store.playbooks import get_versions
from store.releases import Release, find_release
from store.tenants import get_industry


@dataclass(frozen=True)
class Trial:
    """Rules to look at and the playbook that they make.

    Attributes:
        playbook: of all rules that act; the one asked for acts in it whatever its status.
        rule_set: all rules with the status they really have.
        source: where they come from, in words: 'release 3' or a file's name.
    """

    playbook: Playbook
    rule_set: RuleSet
    source: str

    def rule(self, rule_id: str) -> Rule:
        """The rule as it is written, with its real status.

        Raises:
            RuleNotFound: there is none; suggests the nearest.
        """
        return find_rule(self.rule_set, rule_id)


def find_rule(rules: RuleSet, rule_id: str) -> Rule:
    """Return a rule by its id.

    Raises:
        RuleNotFound: there is none; suggests the nearest, or names the offers of a rule.
    """
    found = next((rule for rule in rules.rules if rule.id == rule_id), None)
    if found is None:
        ids = [rule.id for rule in rules.rules]
        offers = [name for name in ids if name.startswith(f"{rule_id}/")]
        raise RuleNotFound(
            f"There is no rule '{rule_id}'.",
            hint=f"One for each offer: {', '.join(offers)}" if offers else suggestion(rule_id, ids),
        )
    return found


async def release_in_force(connection: AsyncConnection, tenant_id: TenantId) -> Release:
    """Return the release in force; a tenant without one gets the shipped rules first."""
    release = await find_release(connection)
    if release is None:
        await ensure_rules(connection, tenant_id, await get_industry(connection))
        release = await find_release(connection)
    assert release is not None  # noqa: S101 - made above
    return release


async def rules_for(
    connection: AsyncConnection, tenant_id: TenantId, file: RuleTexts | None = None
) -> tuple[RuleSet, str]:
    """Return the rules in force with their effective statuses, and where they come from.

    A file stands in place of the one of its name, and its rules in place of those of their ids.
    A tenant without rules gets the shipped ones, as with its first decision.

    Raises:
        InvalidRules: the file has faults, or says a name differently from the rest.
    """
    release = await release_in_force(connection, tenant_id)
    said = await contents_of(connection, release)
    if file is None:
        return said.rule_set(), f"release {release.number}"
    given = parse_texts(flat_texts(file))
    ids = {rule.id for rule in given.rules}
    others = [each for each in said.files if each.name != file.name]
    sets = [given]
    if others:
        statuses = {name: status for name, status in said.statuses.items() if name not in ids}
        rest = contents(others, statuses).rule_set()
        sets.append(replace(rest, rules=tuple(r for r in rest.rules if r.id not in ids)))
    return merge_rule_sets(sets), file.name


async def trial_of(
    connection: AsyncConnection,
    tenant_id: TenantId,
    as_of: datetime,
    *,
    file: RuleTexts | None = None,
    rule_id: str | None = None,
) -> Trial:
    """Return the rules to look at, as they would be in force at `as_of`.

    Raises:
        RuleNotFound: there is no rule `rule_id`.
        InvalidRules: see `rules_for`.
    """
    rules, source = await rules_for(connection, tenant_id, file)
    acting = rules
    if rule_id is not None and not find_rule(rules, rule_id).acts:
        acting = replace(
            rules,
            rules=tuple(
                replace(rule, status="shadow") if rule.id == rule_id else rule
                for rule in rules.rules
            ),
        )
    return Trial(await playbook_of_rules(connection, tenant_id, as_of, acting), rules, source)


async def playbook_of_rules(
    connection: AsyncConnection, tenant_id: TenantId, as_of: datetime, rules: RuleSet
) -> Playbook:
    """Return the playbook at `as_of` with these rules in place of those in force."""
    versions = await get_versions(connection, as_of)
    return await playbook_with(connection, tenant_id, versions, compile_rules(rules))
