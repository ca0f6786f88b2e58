"""Halt rules at once: they decide and record from now on, and what they have queued is not sent."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from rules.meaning import rule_meaning
from services.promote_rule import rule_of
from services.release_rules import Change, Signature, put_in_force
from services.rules_in_force import contents, contents_of, locked_release
from store.releases import Release, StatusGiven

HALTED = "shadow"


async def halt_rules(
    connection: AsyncConnection,
    tenant_id: TenantId,
    reasons: Mapping[str, str],
    by: str,
    *,
    via: str = "",
) -> Release:
    """Make live rules shadow in one new release; return the release in force.

    `reasons` maps rule ids to why, in words; `via` is that of `Signature`. A rule that is not live
    is passed over, and without any live one no release is made. What the rules have queued is
    suppressed by the gate when it is due.

    Raises:
        RuleNotFound: no file in force has one of the rules; nothing was halted.
    """
    release = await locked_release(connection, tenant_id)
    before = await contents_of(connection, release)
    rules = before.rule_set()
    live = [rule for rule in (rule_of(rules, name) for name in reasons) if rule.status == "live"]
    if not live:
        return release
    meanings = {rule.id: rule_meaning(rule, rules.vocabulary) for rule in live}
    halted = {name: StatusGiven(HALTED, meaning) for name, meaning in meanings.items()}
    after = contents(before.files, {**before.statuses, **halted})
    told = "; ".join(f"{name}: {reasons[name]}" for name in meanings)
    return await put_in_force(
        connection,
        tenant_id,
        after,
        Signature(by, reason=told, via=via),
        lambda _: [
            Change("halt", "rule", name, {"meaning": meaning, "why": reasons[name]})
            for name, meaning in meanings.items()
        ],
    )
