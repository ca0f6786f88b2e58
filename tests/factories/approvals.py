"""A practice whose rule asks a person before anything is sent."""

from services.publish_rules import Publication, publish_rules
from services.release_rules import Signature
from tests.factories.practice import Practice
from tests.factories.rule_files import rule_text, rules_file

RULE = "own.missed"


async def ask_first(practice: Practice) -> None:
    """Publish the one rule of the practice: it invites to rebook, once a person has agreed."""
    asked = rule_text(RULE).replace("    cooldown:", "      approval: yes\n    cooldown:")
    async with practice.transaction() as connection:
        await publish_rules(
            connection,
            practice.tenant_id,
            Publication((rules_file("own", asked),)),
            Signature("ada", "grace"),
        )
