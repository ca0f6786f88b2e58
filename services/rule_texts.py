"""Rules files as texts: those that are shipped, those in a folder, and what they say."""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from engine.errors import NotFound
from rules.document import RuleSet
from rules.includes import PACKS, shipped, vocabulary_path
from rules.loader import load_rules, read_rules
from rules.source import parse, refuse
from rules.vocabulary import flat_text, flat_vocabulary, load_vocabulary

_KEPT = 128  # parsed files; the largest has some 40 rules, about 1 MB


class RulePackNotFound(NotFound):
    code = "rule_pack_not_found"


@dataclass(frozen=True, slots=True)
class RuleTexts:
    """A rules file and the vocabulary it names, as texts."""

    name: str
    document: str
    vocabulary: str

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of both texts."""
        parts = (self.document.encode(), self.vocabulary.encode())
        return hashlib.sha256(b"%d\n%b%b" % (len(parts[0]), *parts)).hexdigest()


@lru_cache(maxsize=_KEPT)
def parse_texts(texts: RuleTexts) -> RuleSet:
    """Return the rule set in these texts.

    Raises:
        InvalidRules: with all findings of the vocabulary, else of the document.
    """
    return parse_rules(texts.document, texts.vocabulary, texts.name)


def parse_rules(document: str, vocabulary: str, name: str) -> RuleSet:
    """Return the rule set in these texts.

    Raises:
        InvalidRules: with all findings of the vocabulary, else of the document.
    """
    return load_rules(document, f"{name}.yaml", load_vocabulary(vocabulary, f"{name}.vocab.yaml"))


@lru_cache(maxsize=_KEPT)
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
    """Return a rules file's document, and the vocabulary it names with all that this includes.

    Raises:
        InvalidRules: with all findings.
    """
    vocabulary = vocabulary_path(path, read_rules(path).vocabulary.file)
    return RuleTexts(name, path.read_text(encoding="utf-8"), flat_vocabulary(vocabulary))


def texts_of(name: str, document: str, vocabulary: str | None) -> RuleTexts:
    """Return a rules file given as text; without a vocabulary, with the shipped one it names.

    Raises:
        InvalidRules: the document names no shipped vocabulary, or can't be read at all.
    """
    if vocabulary is not None:
        return RuleTexts(name, document, vocabulary)
    top, findings = parse(document, f"{name}.yaml")
    node = top.get("vocabulary")
    path = None if node is None else shipped(node.text)
    if path is None:
        place = top.place if node is None else node.place
        message = "no vocabulary was sent along, and the file names no shipped one"
        findings.add("E011", message, place, hint="vocabulary: healthcare.vocab.yaml")
        refuse(findings, f"{name}.yaml")
    assert path is not None  # noqa: S101 - refused above
    return RuleTexts(name, document, flat_vocabulary(path))


def flat_texts(texts: RuleTexts) -> RuleTexts:
    """Return the same with what the vocabulary includes written into it, to be stored.

    Only shipped vocabularies can be included: a text lies in no folder.

    Raises:
        InvalidRules: with all findings of the vocabulary.
    """
    return replace(texts, vocabulary=flat_text(texts.vocabulary, f"{texts.name}.vocab.yaml"))
