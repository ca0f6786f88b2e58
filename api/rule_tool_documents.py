"""What clients send to the tools around rules: files to look at, a contact, a period."""

from datetime import date
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from api.documents import Moment, Name, Strict
from api.rule_documents import MAX_FILES, MAX_TEXT, RulesFileIn
from services.rules_given import FileGiven

MAX_SAMPLE = 10_000

_RULES = """\
format: 1
pack: own
vocabulary: healthcare.vocab.yaml
rules:
  - id: own.missed
    title: Missed an appointment
    why: Whoever does not rebook within days mostly does not come back on their own.
    owner: front-desk
    status: shadow
    when:
      - {count: appointment.no_show, in_last: 30 days, at_least: 1}
    then:
      action: own-missed
      template: healthcare/no-show-rescue
      purpose: treatment
      by: [email]
      value: 120.00 USD
      cost: {email: 0.01}
      expect: {if_contacted: 0.27, if_left: 0.225, weight: 40}
      goal: appointment.booked within 14 days
    cooldown: 30 days
    tests:
      - name: missed the day before
        today: 2026-03-11 10:00
        events: [2026-03-10 10:00 appointment.no_show]
        expect: fires
      - name: missed nothing
        today: 2026-03-11 10:00
        expect: quiet
"""
_FILE: dict[str, JsonValue] = {"name": "own", "document": _RULES}


def _day_text(value: object) -> object:
    # pydantic would also take seconds since 1970, as a number or as text
    if not isinstance(value, str) or len(value) != len("2016-06-07"):
        raise ValueError("a day reads 2016-06-07")
    return value


Day = Annotated[date, BeforeValidator(_day_text), Field(strict=False)]
ContactIn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$"),
    Field(description="Our id (UUID), or `external:` and the id of the system it came from."),
]


def given(file: RulesFileIn | None) -> FileGiven | None:
    """Return a file as the services take it."""
    return None if file is None else FileGiven(file.name, file.document, file.vocabulary)


def _example(**fields: JsonValue) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


class FilesIn(Strict):
    """Rules files to look at."""

    model_config = _example(files=[_FILE])

    files: list[RulesFileIn] = Field(
        default_factory=list, max_length=MAX_FILES, description="Empty: those in force."
    )

    @property
    def given(self) -> list[FileGiven]:
        """The files as the services take them."""
        return [FileGiven(file.name, file.document, file.vocabulary) for file in self.files]


class CheckIn(FilesIn):
    """Rules files to check."""

    model_config = _example(files=[_FILE], data=True)

    data: bool = Field(False, description="Look at the tenant's data too: warnings D401 to D405.")
    as_of: Moment | None = Field(None, description="With `data`: as it was known then.")


class LayOutIn(FilesIn):
    """Rules or vocabulary files to lay out."""

    files: list[RulesFileIn] = Field(min_length=1, max_length=MAX_FILES)


class HandbookIn(FilesIn):
    """Rules to tell in plain sentences."""

    model_config = _example(files=[_FILE], form="markdown")

    form: Literal["json", "markdown", "html"] = "json"
    title: Name = Field("What we do, and when", description="Heading of the page.")


class VocabularyIn(Strict):
    """The vocabulary to look at."""

    model_config = _example(fill=True)

    vocabulary: str | None = Field(
        None, max_length=MAX_TEXT, description="Absent: that of the rules in force."
    )


class SchemaIn(VocabularyIn):
    """Which files an editor is to check."""

    model_config = _example(of="rules")

    of: Literal["rules", "vocabulary"] = "rules"


class FieldsIn(VocabularyIn):
    """Which fields to list."""

    fill: bool = Field(False, description="Count how much of it the tenant's data have.")
    as_of: Moment | None = Field(None, description="With `fill`: as it was known then.")


class CompareIn(Strict):
    """Two rules files, or one and that of its name in force."""

    model_config = _example(new=_FILE, old={"name": "before", "document": _RULES}, contacts=True)

    old: RulesFileIn | None = Field(None, description="Absent: the one in force of `new`'s name.")
    new: RulesFileIn | None = Field(None, description="Absent: the one in force of `old`'s name.")
    contacts: bool = Field(False, description="Tell contacts gained and lost in a week too.")
    as_of: Moment | None = Field(None, description="With `contacts`: as it was known then.")

    @model_validator(mode="after")
    def _one_is_given(self) -> "CompareIn":
        if self.old is None and self.new is None:
            raise ValueError("old or new has to be given")
        return self


class LookIn(Strict):
    """A contact to look at rules for."""

    model_config = _example(contact="external:4711", as_of="2026-03-01T14:30:00Z")

    contact: ContactIn
    as_of: Moment | None = Field(None, description="As it was known then; absent: now.")
    file: RulesFileIn | None = Field(
        None, description="A rules file to try in place of the one of its name in force."
    )


class RecordIn(LookIn):
    """A contact to make an in-file test of, and the file that it is for."""

    model_config = _example(contact="external:4711", file=_FILE)

    file: RulesFileIn


class BacktestIn(Strict):
    """Past nights to try a rule on."""

    model_config = ConfigDict(
        populate_by_name=True,
        json_schema_extra={"examples": [{"from": "2026-01-05", "to": "2026-02-01", "by": "ada"}]},
    )

    first: Day = Field(alias="from", description="First day.")
    last: Day = Field(alias="to", description="Last day, included.")
    by: Name = Field(description="Who does it; stands beside the result.")
    as_of: Moment | None = Field(None, description="As it was known then; absent: now.")
    file: RulesFileIn | None = Field(
        None, description="A rules file to try in place of the one of its name in force."
    )


class VerifyIn(Strict):
    """How many contacts to evaluate in every way."""

    model_config = _example(sample=100)

    sample: int = Field(1_000, ge=1, le=MAX_SAMPLE)
