"""Attributes of a contact, typed by the vocabulary, whatever the CRM holds."""

import json

import pytest

from engine.features.spec import Feature
from rules.vocabulary import load_vocabulary
from services.attributes import Attribute, attribute_values, attributes_of, is_from_health
from services.rule_texts import pack_texts

ROW = {
    "timezone": "America/New_York",
    "lead_status": "new",
    "preferred_contact_method": "email",
    "do_not_email": False,
    "do_not_sms": True,
    "do_not_call": False,
}


def value(key: str, kind: str, custom: object, account: object = None) -> object:
    row = ROW | {"custom_fields": as_json(custom), "account": as_json(account)}
    return attribute_values([Attribute(key, kind)], row)[key]


def as_json(document: object) -> str | None:
    """As PostgreSQL gives it."""
    return None if document is None else json.dumps(document)


@pytest.mark.parametrize(
    ("written", "number"),
    [(34, 34.0), (34.5, 34.5), ("34", 34.0), (" 1e2 ", 100.0), ("-3", -3.0), ("old", None),
     ("", None), (None, None), (True, None), ("nan", None), ("inf", None),
     ([34], None), ({"age": 34}, None), (10**400, None)],
)  # fmt: skip
def test_a_number_is_what_reads_as_a_finite_one(written, number):
    assert value("contact.age", "number", {"age": written}) == number


@pytest.mark.parametrize(
    ("written", "flag"),
    [(True, True), (False, False), ("Yes", True), ("t", True), (1, True), ("0", False),
     (" no ", False), ("maybe", None), (None, None), (2, None), ([], None)],
)  # fmt: skip
def test_a_flag_is_what_reads_as_yes_or_no(written, flag):
    assert value("contact.insured", "flag", {"insured": written}) is flag


def test_columns_of_the_crm_win_over_custom_fields_of_the_same_name():
    assert value("contact.lead_status", "text", {"lead_status": "lost"}) == "new"
    assert value("contact.do_not_sms", "flag", {}) is True


def test_what_nobody_has_written_is_not_known():
    assert value("contact.age", "number", {}) is None
    assert value("account.size", "number", {"size": 4}) is None


@pytest.mark.parametrize("custom", [None, [], [{"age": 3}], "text", 5, True])
def test_custom_fields_that_are_no_object_hold_nothing(custom):
    assert value("contact.age", "number", custom) is None


def test_attributes_are_those_the_features_read_less_what_the_health_model_gives():
    texts = pack_texts("healthcare/retention")
    vocabulary = load_vocabulary(texts.vocabulary, "healthcare.vocab.yaml")
    features = [
        Feature("contact.age", "attribute", attribute="contact.age"),
        Feature("days_to_birthday", "days_until_date", attribute="contact.birthday"),
        Feature("health.hazard_30d", "attribute", attribute="health.hazard_30d"),
        Feature("visits", "count", ("appointment.kept",)),
    ]
    assert attributes_of(features, vocabulary) == (
        Attribute("contact.age", "number"),
        Attribute("contact.birthday", "text"),
    )
    assert [is_from_health(feature) for feature in features] == [False, False, True, False]


@pytest.mark.parametrize(
    ("written", "items"),
    [(["gold", "family-plan"], "gold\nfamily-plan"), ([], ""), ("gold", "gold"),
     (None, None), (["gold", 3], None), ({"gold": True}, None)],
)  # fmt: skip
def test_a_list_holds_its_texts_and_an_empty_one_is_known(written, items):
    assert value("contact.tags", "list", {"tags": written}) == items
    assert value("account.services", "list", None, {"custom_fields": {"services": written}}) == (
        items
    )


@pytest.mark.parametrize("account", [None, {}, {"custom_fields": None}, [], "text"])
def test_of_a_contact_without_an_account_nothing_is_known_of_one(account):
    for kind in ("text", "number", "flag", "date", "list"):
        assert value("account.industry", kind, {"industry": "dental"}, account) is None
    without = {name: ROW[name] for name in ROW} | {"custom_fields": None}
    assert attribute_values([Attribute("account.industry", "text")], without) == {
        "account.industry": None
    }
