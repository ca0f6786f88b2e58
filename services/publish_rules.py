"""Rule sets of a tenant: check, keep every version, make one live."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import NotFound
from engine.ids import TenantId
from rules.compiled import compile_rules
from rules.document import RuleSet
from rules.loader import PACKS, load_rules, read_rules, vocabulary_path
from rules.vocabulary import load_vocabulary
from store.audit import AuditLine, add_audit
from store.playbooks import NewRuleSet, add_live_rule_set, find_rule_set

_DEFAULT_PACKS = {"healthcare": "healthcare/retention"}
_ANY_INDUSTRY = "common/retail"


class RulePackNotFound(NotFound):
    code = "rule_pack_not_found"


class RuleSetNotFound(NotFound):
    code = "rule_set_not_found"


@dataclass(frozen=True, slots=True)
class RuleTexts:
    """A rules file and the vocabulary it names, as texts."""

    name: str
    document: str
    vocabulary: str


async def publish_rules(
    connection: AsyncConnection, tenant_id: TenantId, texts: RuleTexts, *, by: str
) -> tuple[RuleSet, int]:
    """Check a rule set and make it live; return it with its version number.

    Raises:
        InvalidRules: with all findings; the rule set that is live stays.
    """
    rule_set = parse_rules(texts.document, texts.vocabulary, texts.name)
    compile_rules(rule_set)  # what durable-rules can't carry is refused before it goes live
    version = await add_live_rule_set(
        connection,
        tenant_id,
        NewRuleSet(texts.name, rule_set.digest, texts.document, texts.vocabulary, by),
    )
    await add_audit(
        connection,
        tenant_id,
        AuditLine(
            by, "publish", "rule_set", texts.name, {"version": version, "digest": rule_set.digest}
        ),
    )
    return rule_set, version


async def publish_pack(
    connection: AsyncConnection, tenant_id: TenantId, pack: str, *, by: str
) -> tuple[RuleSet, int]:
    """Make a shipped pack live, e.g. 'healthcare/retention'.

    Raises:
        RulePackNotFound: there is no such pack.
    """
    return await publish_rules(connection, tenant_id, pack_texts(pack), by=by)


async def ensure_rules(
    connection: AsyncConnection, tenant_id: TenantId, industry: str | None
) -> str:
    """Give a tenant without rules the shipped pack of its industry; return the digest."""
    pack = _DEFAULT_PACKS.get(industry or "", _ANY_INDUSTRY)
    rule_set, _ = await publish_pack(connection, tenant_id, pack, by="keepwell: default pack")
    return rule_set.digest


async def stored_rules(connection: AsyncConnection, digest: str) -> RuleSet:
    """Return a stored version by its digest.

    Raises:
        RuleSetNotFound: it is not stored.
    """
    found = await find_rule_set(connection, digest)
    if found is None:
        raise RuleSetNotFound(
            f"The rule set {digest[:12]} is not stored any more.",
            hint="Restore it from a backup; decisions made with it can't be replayed without.",
        )
    return parse_rules(found[0], found[1], digest[:12])


def parse_rules(document: str, vocabulary: str, name: str) -> RuleSet:
    """Return the rule set in these texts.

    Raises:
        InvalidRules: with all findings of the vocabulary, else of the document.
    """
    return load_rules(document, f"{name}.yaml", load_vocabulary(vocabulary, f"{name}.vocab.yaml"))


def pack_texts(pack: str) -> RuleTexts:
    """Return a shipped pack's document and vocabulary.

    Raises:
        RulePackNotFound: names the packs there are.
    """
    known = sorted(
        path.relative_to(PACKS).with_suffix("").as_posix()
        for path in PACKS.rglob("*.yaml")
        if not path.name.endswith(".vocab.yaml")
    )
    if pack not in known:
        raise RulePackNotFound(f"There is no rule pack '{pack}'.", hint=f"Packs: {known}.")
    return file_texts(PACKS / f"{pack}.yaml", pack)


def file_texts(path: Path, name: str) -> RuleTexts:
    """Return a rules file's document and that of the vocabulary it names.

    Raises:
        InvalidRules: with all findings.
    """
    vocabulary = vocabulary_path(path, read_rules(path).vocabulary.file)
    return RuleTexts(name, path.read_text(encoding="utf-8"), vocabulary.read_text(encoding="utf-8"))
