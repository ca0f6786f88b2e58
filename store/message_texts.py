"""Texts that tenants have written themselves: added once, never changed."""

from collections.abc import Iterable, Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


async def add_message_texts(
    connection: AsyncConnection,
    tenant_id: TenantId,
    template: str,
    texts: Mapping[tuple[str, str], str],
) -> None:
    """Add the texts of a template by (channel, variant); what is stored already stays."""
    for (channel, variant), source in texts.items():
        await connection.execute(
            text(
                "INSERT INTO keepwell.message_texts (tenant_id, template, channel, variant, "
                "source) VALUES (:tenant, :template, :channel, :variant, :source) "
                "ON CONFLICT DO NOTHING"
            ),
            {
                "tenant": tenant_id,
                "template": template,
                "channel": channel,
                "variant": variant,
                "source": source,
            },
        )


async def list_message_texts(
    connection: AsyncConnection, templates: Iterable[str]
) -> dict[str, dict[tuple[str, str], str]]:
    """Return the texts of those of the templates that the tenant has."""
    rows = await connection.execute(
        text(
            "SELECT template, channel, variant, source FROM keepwell.message_texts "
            "WHERE template = ANY(:templates)"
        ),
        {"templates": list(templates)},
    )
    found: dict[str, dict[tuple[str, str], str]] = {}
    for template, channel, variant, source in rows:
        found.setdefault(template, {})[channel, variant] = source
    return found
