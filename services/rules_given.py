"""The rules files that a tool looks at: those that were sent along, else those in force."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import Finding, InvalidInput, InvalidRules
from engine.ids import TenantId
from rules.check import check
from rules.document import RuleSet
from rules.findings import with_lines
from rules.vocabulary import Vocabulary, load_vocabulary
from services.rule_texts import RuleTexts, flat_texts, parse_texts, texts_of
from services.rules_in_force import contents_of
from services.rules_on_trial import release_in_force, rules_for


@dataclass(frozen=True, slots=True)
class FileGiven:
    """A rules file as somebody sends it; without a vocabulary it uses the shipped one it names."""

    name: str
    document: str
    vocabulary: str | None = None

    @property
    def texts(self) -> RuleTexts:
        """Both texts, whole.

        Raises:
            InvalidRules: there is no vocabulary, or it or the document can't be read.
        """
        return flat_texts(texts_of(self.name, self.document, self.vocabulary))


async def files_looked_at(
    connection: AsyncConnection, tenant_id: TenantId, given: Sequence[FileGiven]
) -> list[FileGiven]:
    """Return the given files, those in force if none is given.

    Raises:
        InvalidInput: two files of one name.
    """
    if given:
        names = [file.name for file in given]
        if len(set(names)) < len(names):
            raise InvalidInput("Two files have the same name.", hint="Give each its own.")
        return list(given)
    release = await release_in_force(connection, tenant_id)
    texts = [file.texts for file in (await contents_of(connection, release)).files]
    return [FileGiven(each.name, each.document, each.vocabulary) for each in texts]


def parsed_files(files: Sequence[FileGiven]) -> list[RuleSet]:
    """Return the rules of each file.

    Raises:
        InvalidRules: with the findings of all files.
    """
    found: list[RuleSet] = []
    faults: list[Finding] = []
    for file in files:
        try:
            found.append(parse_texts(file.texts))
        except InvalidRules as error:
            faults += error.findings
    if faults:
        raise InvalidRules(f"{len(faults)} faults in the rules.", faults)
    return found


def checked_files(files: Sequence[FileGiven]) -> list[Finding]:
    """Return what is wrong or doubtful in each file: faults as errors, doubts as warnings."""
    findings: list[Finding] = []
    for file in files:
        try:
            found = check(parse_texts(file.texts))
            findings += with_lines(found, f"{file.name}.yaml", file.document)
        except InvalidRules as error:
            findings += error.findings
    return findings


async def vocabulary_looked_at(
    connection: AsyncConnection, tenant_id: TenantId, vocabulary: str | None
) -> Vocabulary:
    """Return the vocabulary in this text, that of the rules in force without one.

    Raises:
        InvalidRules: with all findings.
    """
    if vocabulary is not None:
        name = "given.vocab.yaml"
        return load_vocabulary(flat_texts(RuleTexts("given", "", vocabulary)).vocabulary, name)
    rules, _ = await rules_for(connection, tenant_id)
    return rules.vocabulary
