"""Publish rules files: check all of them, then put them in force together, or nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import Conflict, Finding, InvalidInput, InvalidRules
from engine.ids import TenantId
from rules.check import check
from rules.conflicts import conflicts
from rules.document import RuleSet
from rules.examples import run_examples
from rules.meaning import rule_meaning
from services.release_rules import (
    Change,
    Estimate,
    Signature,
    WeeklyVolume,
    check_release,
    put_in_force,
)
from services.rule_texts import RuleTexts, flat_texts, parse_texts
from services.rules_in_force import (
    Contents,
    RulesFile,
    contents,
    contents_of,
    locked_release_or_none,
)
from store.releases import Release, StatusGiven

FAILED_TEST = "T101"


class RulesFileUnknown(InvalidInput):
    """A file that is to be removed is not in force."""

    code = "rules_file_unknown"


class NoRulesLeft(Conflict):
    code = "no_rules_left"


@dataclass(frozen=True, slots=True)
class Publication:
    """What is to change.

    Attributes:
        files: take the place of those of the same name, or come on top.
        remove: names of files that leave.
        dry_run: check everything and change nothing.
    """

    files: tuple[RuleTexts, ...]
    remove: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """What came of a publication.

    Attributes:
        release: in force now; in a dry run the one that would be replaced, None without one.
        changed: whether it is new; publishing what is in force already makes no release.
        rules: rules that are new, gone or different, with the digest of their meaning; gone: None.
        volume: contacts proposed for in a week, before and after; None if nobody estimated it.
        warnings: what is allowed but hardly meant, in the order of the files.
    """

    release: Release | None
    changed: bool
    rules: Mapping[str, str | None]
    volume: WeeklyVolume | None
    warnings: tuple[Finding, ...]


async def publish_rules(
    connection: AsyncConnection,
    tenant_id: TenantId,
    publication: Publication,
    signature: Signature,
    *,
    estimate: Estimate | None = None,
) -> Published:
    """Put files in force, all or none; a status given to a rule that is still the same stays.

    A tenant that has no rules yet starts with these files, not with the shipped ones.

    Raises:
        InvalidRules: with all findings of all files, failed in-file tests among them, or of files
            that contradict each other; what is in force stays.
        InvalidInput: two files have one name.
        RulesFileUnknown: a file to be removed is not in force.
        NoRulesLeft: nothing would be in force.
        SecondPersonNeeded: see `check_release`.
    """
    files, warnings = checked_files(publication.files)
    release = await locked_release_or_none(connection, tenant_id)
    before = Contents((), {}) if release is None else await contents_of(connection, release)
    after = _changed(before, files, publication.remove, signature.by)
    if release is not None and after.digest == release.digest:
        return Published(release, changed=False, rules={}, volume=None, warnings=warnings)
    rules_before = before.rule_set() if before.files else None
    rules_after = after.rule_set()
    _refuse(conflicts([parse_texts(file.texts) for file in after.files]))
    volume = await check_release(
        connection, tenant_id, (rules_before, rules_after), signature, estimate
    )
    rules = _changed_rules(rules_before, rules_after)
    if publication.dry_run:
        return Published(release, changed=False, rules=rules, volume=volume, warnings=warnings)

    def told(made: Release) -> list[Change]:
        detail = {
            "files": {file.name: file.digest for file in files},
            "removed": list(publication.remove),
            "rules": rules,
        }
        return [Change("publish", "rule_release", str(made.number), detail)]

    made = await put_in_force(connection, tenant_id, after, signature, told)
    return Published(made, changed=True, rules=rules, volume=volume, warnings=warnings)


def checked_files(
    given: Sequence[RuleTexts],
) -> tuple[tuple[RuleTexts, ...], tuple[Finding, ...]]:
    """Return the files with flat vocabularies, ready to be stored, and the warnings about them.

    Raises:
        InvalidRules: with the errors of all files.
        InvalidInput: two files have one name.
    """
    names = [texts.name for texts in given]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"More than one file is called {twice}.", hint="Rename one of them.")
    files, found = list[RuleTexts](), list[Finding]()
    for texts in given:
        try:
            flat = flat_texts(texts)
            found += _findings(parse_texts(flat))
            files.append(flat)
        except InvalidRules as error:
            found += error.findings
    _refuse(found)
    return tuple(files), tuple(found)


def _refuse(findings: Sequence[Finding]) -> None:
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise InvalidRules(
            f"{len(errors)} faults in what was to be published; nothing was changed.", errors
        )


def _findings(rule_set: RuleSet) -> list[Finding]:
    failed = [
        Finding(FAILED_TEST, f"{result.rule_id}: {result.message}", rule_set.file, result.line, 1)
        for result in run_examples(rule_set)
        if not result.passed
    ]
    return [*check(rule_set), *failed]


def _changed(
    before: Contents, files: Sequence[RuleTexts], remove: Sequence[str], author: str
) -> Contents:
    """What will be in force; a file that says the same as before keeps its version."""
    found = {file.name: file for file in before.files}
    unknown = sorted(set(remove) - found.keys())
    if unknown:
        raise RulesFileUnknown(
            f"No file of these names is in force: {unknown}.", hint=f"In force: {sorted(found)}."
        )
    for name in remove:
        del found[name]
    for texts in files:
        if texts.name not in found or found[texts.name].texts != texts:
            found[texts.name] = RulesFile(texts, author)
    if not found:
        raise NoRulesLeft(
            "No rules file would be left in force.",
            hint="To write to nobody, retire the rules or pause the tenant.",
        )
    return contents(found.values(), _kept(before, found.values()))


def _kept(before: Contents, files: Iterable[RulesFile]) -> dict[str, StatusGiven]:
    """Statuses that still hold.

    One lapses when its rule means something else or is gone. When the author has now written that
    the rule is to rest, it rests; written words never make a rule live that somebody took back.
    """
    said_before = _rules(before.files)
    kept = {}
    for rule_id, (meaning, status) in _rules(files).items():
        given = before.statuses.get(rule_id)
        if given is None or given.meaning != meaning:
            continue
        rests_now = status != "live" and status != said_before[rule_id][1]
        kept[rule_id] = replace(given, status=status) if rests_now else given
    return kept


def _rules(files: Iterable[RulesFile]) -> dict[str, tuple[str, str]]:
    """Meaning and written status of every rule, by id."""
    return {
        rule.id: (rule_meaning(rule, parsed.vocabulary), rule.status)
        for parsed in (parse_texts(file.texts) for file in files)
        for rule in parsed.rules
    }


def _changed_rules(before: RuleSet | None, after: RuleSet) -> dict[str, str | None]:
    """Rules that are new, gone or different, with the digest of their meaning now; gone: None."""
    old = {} if before is None else _meanings(before)
    new = _meanings(after)
    return {
        rule_id: None if rule_id not in new else new[rule_id][0]
        for rule_id in sorted(old.keys() | new.keys())
        if old.get(rule_id) != new.get(rule_id)
    }


def _meanings(rule_set: RuleSet) -> dict[str, tuple[str, str]]:
    return {
        rule.id: (rule_meaning(rule, rule_set.vocabulary), rule.status) for rule in rule_set.rules
    }
