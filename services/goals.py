"""What counts as success of each action in force."""

from sqlalchemy.ext.asyncio import AsyncConnection

from services.playbook import rules_of
from store.holdouts import GoalOf
from store.playbooks import find_rules_digest


async def goals_in_force(connection: AsyncConnection) -> list[GoalOf]:
    """Return the goal of every action of the newest release; none before the first."""
    digest = await find_rules_digest(connection)
    if digest is None:
        return []
    rule_set = (await rules_of(connection, digest)).rule_set
    return [
        GoalOf(
            rule.then.action,
            tuple(sorted(rule_set.vocabulary.types(rule.then.goal.event))),
            rule.then.goal.within_days,
        )
        for rule in rule_set.rules
        if rule.acts and rule.then.goal.event
    ]
