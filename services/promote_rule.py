"""Give one rule a status: draft, shadow, live or retired; live has to be earned."""

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import InvalidInput
from engine.ids import TenantId
from rules.document import STATUSES, Rule, RuleSet
from rules.meaning import rule_meaning
from services.live_requirements import check_fit_for_live
from services.release_rules import Change, Signature, check_release, put_in_force
from services.rules_in_force import (
    RuleNotFound,
    contents,
    contents_of,
    file_of,
    locked_release,
)
from store.releases import Release, StatusGiven


async def promote_rule(
    connection: AsyncConnection,
    tenant_id: TenantId,
    rule_id: str,
    status: str,
    signature: Signature,
) -> Release:
    """Give a rule a status as a new release; the status holds as long as the rule means the same.

    A rule that has the status already stays as it is, and the release in force is returned.

    Raises:
        RuleNotFound: no file in force has this rule.
        InvalidInput: there is no such status.
        NotFitForLive: with everything that is missing.
    """
    if status not in STATUSES:
        raise InvalidInput(f"There is no status '{status}'.", hint=f"Use one of {STATUSES}.")
    release = await locked_release(connection, tenant_id)
    before = await contents_of(connection, release)
    rules = before.rule_set()
    rule = rule_of(rules, rule_id)
    if rule.status == status:
        return release
    meaning = rule_meaning(rule, rules.vocabulary)
    if status == "live":
        file = file_of(before.files, rule_id)
        await check_fit_for_live(connection, file, rule_id, meaning, signature)
    after = contents(before.files, {**before.statuses, rule_id: StatusGiven(status, meaning)})
    await check_release(connection, tenant_id, (rules, after.rule_set()), signature, None)
    detail = {"from": rule.status, "to": status, "meaning": meaning}
    return await put_in_force(
        connection,
        tenant_id,
        after,
        signature,
        lambda _: [Change("promote", "rule", rule_id, detail)],
    )


def rule_of(rules: RuleSet, rule_id: str) -> Rule:
    """Return a rule by its id.

    Raises:
        RuleNotFound: there is none.
    """
    found = next((rule for rule in rules.rules if rule.id == rule_id), None)
    if found is None:
        raise RuleNotFound(
            f"There is no rule '{rule_id}' in force.", hint="'keepwell rules live' lists them."
        )
    return found
