"""The rules in force and the releases they came from, as documents."""

from dataclasses import asdict
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from rules.document import Rule, RuleSet
from rules.meaning import rule_meaning
from services.publish_rules import Published
from services.rule_texts import parse_texts
from services.rules_in_force import Contents, contents_of
from store.releases import Release, find_release, list_releases


async def show_rules(connection: AsyncConnection) -> dict[str, Any]:
    """Return the release in force and its rules in the order of files and lines.

    `release` is None and `rules` empty for a tenant that has not decided or published anything.

    Raises:
        RuleSetNotFound: a file of the release is not stored any more.
    """
    release = await find_release(connection)
    if release is None:
        return {"release": None, "rules": []}
    said = await contents_of(connection, release)
    rules = said.rule_set()
    files = _files(said)
    return {
        "release": release_document(release),
        "rules": [_rule(rules, rule, files[rule.id]) for rule in rules.rules],
    }


async def show_releases(
    connection: AsyncConnection, *, before: int | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return releases with numbers below `before` (None: all), newest first."""
    return [
        release_document(each)
        for each in await list_releases(connection, before=before, limit=limit)
    ]


def release_document(release: Release) -> dict[str, Any]:
    """Return a release as a document; `made_at` is UTC."""
    return {
        "number": release.number,
        "digest": release.digest,
        "files": [{"name": m.name, "version": m.version} for m in release.members],
        "statuses": {rule: given.status for rule, given in release.statuses.items()},
        "made_by": release.made_by,
        "approved_by": release.approved_by,
        "reason": release.reason,
        "made_at": release.made_at.isoformat(),
    }


def publication_document(published: Published) -> dict[str, Any]:
    """Return what came of a publication as a document."""
    volume = published.volume
    return {
        "release": None if published.release is None else release_document(published.release),
        "changed": published.changed,
        "rules": dict(published.rules),
        "contacts_a_week": None if volume is None else asdict(volume),
        "warnings": [
            {
                "code": finding.code,
                "message": finding.message,
                "file": finding.file,
                "line": finding.line,
                "hint": finding.hint,
            }
            for finding in published.warnings
        ],
    }


def _files(said: Contents) -> dict[str, tuple[str, str]]:
    """Rule id -> its file and the status written there."""
    return {
        rule.id: (file.name, rule.status)
        for file in said.files
        for rule in parse_texts(file.texts).rules
    }


def _rule(rules: RuleSet, rule: Rule, file: tuple[str, str]) -> dict[str, Any]:
    name, written = file
    return {
        "id": rule.id,
        "title": rule.title,
        "owner": rule.owner,
        "status": rule.status,
        "written_status": written,
        "file": name,
        "action": rule.then.action,
        "purpose": rule.then.purpose,
        "channels": list(rule.then.channels),
        "needs_approval": rule.then.needs_approval,
        "meaning": rule_meaning(rule, rules.vocabulary),
    }
