"""Which rules a release stands for: its files together, each rule with the status it really has."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from content.own_texts import is_known, keep_own
from engine.errors import NotFound
from engine.ids import TenantId
from rules.document import Rule, RuleSet, Status
from rules.merged import merge_rule_sets
from services.default_packs import default_packs
from services.rule_texts import RuleTexts, pack_texts, parse_texts
from store.audit import AuditLine, add_audit
from store.message_texts import list_message_texts
from store.releases import (
    Member,
    NewRelease,
    NewTexts,
    Release,
    StatusGiven,
    StoredTexts,
    add_release,
    add_texts,
    find_release,
    find_release_of,
    find_texts_of,
    list_live_texts,
    list_texts,
    lock_releases,
)
from store.tenants import get_industry

BY_DEFAULT = "keepwell: default pack"
_OWN_TEMPLATE = re.compile(r"\bown/[0-9a-f]{32}\b")


class RuleSetNotFound(NotFound):
    code = "rule_set_not_found"


class RuleNotFound(NotFound):
    code = "rule_not_found"


@dataclass(frozen=True, slots=True)
class RulesFile:
    """A file of a release.

    Attributes:
        version: None while it is not stored.
        author: who uploaded these texts.
    """

    texts: RuleTexts
    author: str
    version: int | None = None

    @property
    def name(self) -> str:
        return self.texts.name


@dataclass(frozen=True, slots=True)
class Contents:
    """What a release says: files in the order of their names, and statuses by rule id.

    Every status was given to the meaning that its rule has in these files; `publish_rules` drops
    the others.
    """

    files: tuple[RulesFile, ...]
    statuses: Mapping[str, StatusGiven]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON of the files' names and digests, and the statuses."""
        said = {
            "members": [{"name": f.name, "digest": f.texts.digest} for f in self.files],
            "statuses": {
                rule: {"status": given.status, "meaning": given.meaning}
                for rule, given in self.statuses.items()
            },
        }
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def rule_set(self) -> RuleSet:
        """All rules with their effective status; its digest is that of these contents.

        Raises:
            InvalidRules: a file has faults, or two files contradict each other.
        """
        merged = merge_rule_sets([parse_texts(file.texts) for file in self.files])
        rules = tuple(self._with_status(rule) for rule in merged.rules)
        return replace(merged, rules=rules, digest=self.digest)

    def _with_status(self, rule: Rule) -> Rule:
        given = self.statuses.get(rule.id)
        return rule if given is None else replace(rule, status=cast("Status", given.status))


def contents(files: Iterable[RulesFile], statuses: Mapping[str, StatusGiven]) -> Contents:
    """Return contents in their canonical order."""
    return Contents(tuple(sorted(files, key=lambda f: f.name)), dict(sorted(statuses.items())))


async def stored_rules(connection: AsyncConnection, digest: str) -> RuleSet:
    """Return the rules that a decision was made with, by the digest that stands on it.

    The digest of what is returned is computed from the stored texts: it differs if one was altered.
    A decision from before there were releases names a single rules file by a digest of its meaning;
    the ways to write meaning down have grown since, so that one is taken at its word.

    Raises:
        RuleSetNotFound: they are not stored.
    """
    release = await find_release_of(connection, digest)
    if release is not None:
        return (await contents_of(connection, release)).rule_set()
    single = await find_texts_of(connection, digest)
    if single is None:
        raise _lost(f"The rules {digest[:12]}")
    return replace(parse_texts(_texts(single)), digest=digest)


async def contents_of(connection: AsyncConnection, release: Release) -> Contents:
    """Return the contents of a stored release.

    Raises:
        RuleSetNotFound: a file of it is not stored any more.
    """
    found = await list_texts(connection, release.members)
    missing = [member.name for member in release.members if member.name not in found]
    if missing:
        raise _lost(f"Of release {release.number} the files {missing}")
    await _read_own_texts(connection, [texts.document for texts in found.values()])
    return contents([_file(found[m.name]) for m in release.members], release.statuses)


async def _read_own_texts(connection: AsyncConnection, documents: Iterable[str]) -> None:
    """Let this process know the tenant's own texts that rules name."""
    named = {name for document in documents for name in _OWN_TEMPLATE.findall(document)}
    unread = [name for name in sorted(named) if not is_known(name)]
    if unread:
        for template, texts in (await list_message_texts(connection, unread)).items():
            keep_own(template, texts)


async def ensure_rules(
    connection: AsyncConnection, tenant_id: TenantId, industry: str | None
) -> str:
    """Give a tenant without rules the shipped packs of its industry; return the digest."""
    found = await locked_release_or_none(connection, tenant_id)
    return (found or await _first_release(connection, tenant_id, _packs(industry))).digest


async def locked_release(connection: AsyncConnection, tenant_id: TenantId) -> Release:
    """Return the release in force, the first one if there was none; nobody else can make one."""
    found = await locked_release_or_none(connection, tenant_id)
    if found is not None:
        return found
    return await _first_release(connection, tenant_id, _packs(await get_industry(connection)))


async def locked_release_or_none(
    connection: AsyncConnection, tenant_id: TenantId
) -> Release | None:
    """Return the release in force, None without rules, and let nobody else make one.

    The lock lasts until the transaction ends. Files that were live before there were releases
    become the first one.
    """
    await lock_releases(connection, tenant_id)
    found = await find_release(connection)
    if found is not None:
        return found
    live = [_file(texts) for texts in await list_live_texts(connection)]
    return await _first_release(connection, tenant_id, live) if live else None


def _packs(industry: str | None) -> list[RulesFile]:
    return [RulesFile(pack_texts(pack), BY_DEFAULT) for pack in default_packs(industry)]


async def _first_release(
    connection: AsyncConnection, tenant_id: TenantId, files: Sequence[RulesFile]
) -> Release:
    release = await store_release(connection, tenant_id, contents(files, {}), by=BY_DEFAULT)
    detail = {"digest": release.digest, "files": {m.name: m.digest for m in release.members}}
    line = AuditLine(BY_DEFAULT, "publish", "rule_release", str(release.number), detail)
    await add_audit(connection, tenant_id, line)
    return release


async def store_release(
    connection: AsyncConnection,
    tenant_id: TenantId,
    said: Contents,
    *,
    by: str,
    approved_by: str | None = None,
    reason: str = "",
) -> Release:
    """Store what is new of these contents and put them in force; the caller has checked them."""
    members = [await _member(connection, tenant_id, file) for file in said.files]
    new = NewRelease(said.digest, tuple(members), said.statuses, by, approved_by, reason)
    return await add_release(connection, tenant_id, new)


async def _member(connection: AsyncConnection, tenant_id: TenantId, file: RulesFile) -> Member:
    texts, version = file.texts, file.version
    if version is None:
        new = NewTexts(texts.name, texts.digest, texts.document, texts.vocabulary, file.author)
        version = await add_texts(connection, tenant_id, new)
    return Member(texts.name, version, texts.digest)


def file_of(files: Sequence[RulesFile], rule_id: str) -> RulesFile:
    """Return the file that a rule stands in.

    Raises:
        RuleNotFound: none of them has it.
    """
    for file in files:
        if any(rule.id == rule_id for rule in parse_texts(file.texts).rules):
            return file
    raise RuleNotFound(
        f"There is no rule '{rule_id}'.", hint="'keepwell rules releases' lists what is in force."
    )


def _file(stored: StoredTexts) -> RulesFile:
    return RulesFile(_texts(stored), stored.created_by, stored.version)


def _texts(stored: StoredTexts) -> RuleTexts:
    return RuleTexts(stored.name, stored.document, stored.vocabulary)


def _lost(what: str) -> RuleSetNotFound:
    return RuleSetNotFound(
        f"{what} are not stored any more.",
        hint="Restore them from a backup; decisions made with them can't be replayed without.",
    )
