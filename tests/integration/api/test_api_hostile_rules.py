"""Rules sent by mistake or on purpose: refused with place and reason, or read right."""

import pytest

from tests.factories.hostile_rules import HOSTILE, VOCABULARY, a_file

pytestmark = pytest.mark.integration

TABLE = {
    "a tab": (a_file().replace("    title: A rule", "\ttitle: A rule"), "E002"),
    "an anchor": (a_file().replace("pack: test", "pack: &x test"), "E005"),
    "a key twice": (a_file().replace("pack: test", "pack: test\npack: other"), "E006"),
    "a second document": (a_file() + "---\na: b\n", "E005"),
    "a date against a number": (a_file("- {field: contract.ends_on, at_least: 5}"), "E103"),
    "a number against a date": (a_file("- {field: patient.score, overdue_by_at_least: 5 days}"),
                                "E103"),
    "a rule that its own message sets off": (
        a_file(more="    check: [on message.sent]\n"), "L308",
    ),
    "a division": (a_file("- {field: patient.score / 0, at_least: 5}"), "E102"),
    "a formula": (a_file("- {field: patient.score, at_least: 1/0}"), "E110"),
}  # fmt: skip
WORDS = VOCABULARY.replace("events:\n", "events:\n  message.sent: {label: message}\n")


@pytest.fixture
def check(client, key):
    async def send(document: str, vocabulary: str = WORDS):
        files = [{"name": "own", "document": document, "vocabulary": vocabulary}]
        return await client.post("/v1/rules/check", json={"files": files}, headers=key)

    return send


@pytest.mark.parametrize("name", sorted(HOSTILE))
async def test_a_hostile_file_is_refused_in_few_words_and_changes_nothing(client, key, check, name):
    answer = await check(HOSTILE[name])
    assert len(answer.content) < 200_000
    if answer.status_code == 200:
        found = answer.json()["findings"]
        assert 1 <= len(found) <= 100
        assert answer.json()["ok"] is False
        assert all(each["file"] and each["message"] for each in found)
        assert any(each["line"] >= 1 for each in found)
    else:
        # larger than a rules file may be: refused before it is read
        assert answer.status_code in {413, 422}, answer.text
        assert len(HOSTILE[name].encode()) > 250_000
        assert answer.json()["code"] in {"payload_too_large", "invalid_fields"}
    body = {"by": "a", "files": [{"name": "own", "document": HOSTILE[name][:290_000],
                                  "vocabulary": WORDS}]}  # fmt: skip
    refused = await client.post("/v1/rules/releases", json=body, headers=key)
    assert refused.status_code in {413, 422}, refused.text
    assert (await client.get("/v1/rules", headers=key)).json()["release"] is None


@pytest.mark.parametrize("name", sorted(TABLE))
async def test_a_mistake_is_refused_with_its_code_and_place(check, name):
    document, code = TABLE[name]
    found = (await check(document)).json()
    assert found["ok"] is False
    fault = next(each for each in found["findings"] if each["code"] == code)
    assert fault["severity"] == "error"
    assert fault["text"] == document.split("\n")[fault["line"] - 1]
    assert 1 <= fault["column"] <= len(fault["text"]) + 1


async def test_a_group_of_events_that_contains_itself_is_refused(check):
    rings = WORDS.replace(
        "events:\n",
        "events:\n  one: {label: one, of: [two]}\n  two: {label: two, of: [one]}\n",
    )
    found = (await check(a_file(), rings)).json()["findings"]
    assert [each["code"] for each in found] == ["E141"]


async def test_names_with_quotes_and_faces_are_read_as_they_are(client, key):
    title = """Say "hello" to O'Neil 😀 — café"""
    document = a_file().replace("title: A rule", "title: '" + title.replace("'", "''") + "'")
    files = [{"name": "own", "document": document, "vocabulary": VOCABULARY}]
    answer = await client.post("/v1/rules/docs", json={"files": files}, headers=key)
    assert answer.json()["chapters"][0]["rules"][0]["title"] == title
    page = await client.post("/v1/rules/docs", json={"files": files, "form": "html"}, headers=key)
    assert "&quot;hello&quot;" in page.json()["page"]


async def test_a_share_of_nothing_is_unknown_and_never_true(client, key):
    when = "- {rate: appointment.no_show, of: appointment.booked, in_last: 90 days, at_most: 1}"
    tests = (
        "    tests:\n      - name: no bookings at all\n        today: 2026-03-10 10:00\n"
        "        expect: quiet\n        because: rate appointment.no_show\n"
    )
    files = [{"name": "own", "document": a_file(when, tests), "vocabulary": VOCABULARY}]
    answer = await client.post("/v1/rules/test", json={"files": files}, headers=key)
    assert answer.json() == {"ok": True, "tests": 1, "failed": []}, answer.text


async def test_hundreds_of_sound_rules_are_read_and_compared(client, key):
    rule = a_file()[a_file().index("  - id") :]
    many = a_file() + "".join(
        rule.replace("a.rule", f"a.r{n}")
        .replace("action: a", f"action: a{n}")
        .replace("is: active", f"is: {('active', 'lapsed', 'moved')[n % 3]}")
        for n in range(300)
    )
    files = [{"name": "own", "document": many, "vocabulary": VOCABULARY}]
    answer = await client.post("/v1/rules/conflicts", json={"files": files}, headers=key)
    assert answer.status_code == 200, answer.text
    assert answer.json()["findings"]
