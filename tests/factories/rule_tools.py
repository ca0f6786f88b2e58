"""Rules in force for a practice, and a contact as the tools that look at rules see it."""

from services.publish_rules import Publication, publish_rules
from services.release_rules import Signature
from services.rule_texts import RuleTexts
from tests.factories.practice import Practice


async def publish(practice: Practice, *files: RuleTexts, by: str = "ada") -> None:
    """Put files in force as release 1, in place of the shipped packs."""
    async with practice.transaction() as connection:
        await publish_rules(connection, practice.tenant_id, Publication(files), Signature(by))


async def erase(practice: Practice, contact_id: object) -> None:
    """Take a contact's own row away, as an erasure in the CRM does; its events stay."""
    practice.tamper("DELETE FROM crm_contacts WHERE id = %s", contact_id)
