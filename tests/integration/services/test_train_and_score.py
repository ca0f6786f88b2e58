"""Training puts a model in force, scores are kept, and what fails gives way to the scorecard."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest

from embedded.servers import EmbeddedServers
from engine.errors import ContactNotFound, InvalidInput, TooFewData
from services.churn_report import churn_report
from services.clock import Clock
from services.model_registry import (
    ModelNotBetter,
    ModelNotFound,
    promote_model,
    roll_back_model,
    show_model,
)
from services.override_health import OverrideNotFound, lift_override, override_health
from services.score_health import score_health
from services.set_health import (
    Author,
    fit_health_levels,
    fit_health_weights,
    set_weights,
    show_health_settings,
)
from services.settings import Settings
from services.show_at_risk import AtRiskAsked, show_at_risk
from services.show_health import show_health
from services.train_churn import train_churn
from services.watch_drift import monthly_drift, watch_drift
from services.wiring import Runtime
from store.database import Database
from store.health_overrides import NewOverride
from store.health_scores import list_health_scores
from tests.factories.past_visits import store_visits
from tests.factories.practice import Practice, forget_playbooks, open_practice
from tests.unit.churn.small_business import make_business

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
async def history(servers: EmbeddedServers, tmp_path_factory) -> AsyncIterator[Practice]:
    """A practice of 400 patients with a history of 18 months, a day after its end; no model."""
    url = servers.app_database_url
    runtime = Runtime(
        Settings(home=tmp_path_factory.mktemp("home"), _env_file=None), Clock(), Database(url),
        url, None, servers.owner_database_url, embedded=True,
    )  # fmt: skip
    business = make_business()
    opened = await open_practice(runtime, servers.socket_dir)
    practice = opened.at(business.until + DAY)
    await store_visits(practice, business)
    yield practice
    for pool in (runtime.database, opened.database, practice.database):
        await pool.close()


@pytest.fixture(scope="module")
async def model(history: Practice) -> dict:
    """What training said; the model is the champion from here on."""
    async with history.transaction() as connection:
        return await train_churn(connection, history.runtime, history.tenant_id)


@pytest.fixture
def trained(history: Practice, model: dict) -> Practice:
    assert model["digest"]
    forget_playbooks()
    return history


async def scored(practice: Practice, as_of: datetime | None = None) -> dict:
    async with practice.transaction() as connection:
        return await score_health(connection, practice.runtime, practice.tenant_id, as_of=as_of)


async def some_contacts(practice: Practice, limit: int = 5) -> list[UUID]:
    rows = await practice.rows("SELECT id FROM crm_contacts ORDER BY last_name LIMIT :n", n=limit)
    return [row["id"] for row in rows]


async def test_training_makes_a_champion_and_tells_how_good_it_is(trained, model):
    (row,) = await trained.rows(
        "SELECT * FROM keepwell.models WHERE digest = :d", d=model["digest"]
    )
    assert (row["digest"], row["status"], row["kind"]) == (model["digest"], "champion", "hazard")
    assert row["trained_until"] == datetime.fromisoformat(model["trained_until"])
    assert row["trained_until"] <= trained.now()
    # the same data give the same model; it stays the one champion
    async with trained.transaction() as connection:
        again = await train_churn(connection, trained.runtime, trained.tenant_id)
    assert again == model
    assert len(await trained.rows("SELECT 1 FROM keepwell.models WHERE status = 'champion'")) == 1
    lines = await trained.rows("SELECT * FROM keepwell.audit_trail WHERE action = 'train'")
    assert ("model", model["digest"]) in {(line["entity"], line["entity_id"]) for line in lines}


async def promoted(practice: Practice, digest: str, **how: object) -> dict:
    async with practice.transaction() as connection:
        return await promote_model(connection, practice.tenant_id, digest, by="ada", **how)


async def test_another_model_retires_the_champion_whose_decisions_still_replay(trained, model):
    contacts = await some_contacts(trained, 20)
    by_the_first = [await trained.decide(contact) for contact in contacts]
    async with trained.transaction() as connection:
        other = await train_churn(
            connection, trained.runtime, trained.tenant_id, as_of=trained.now() - 8 * DAY
        )
    assert other["digest"] != model["digest"]
    # whichever came out better of two so much alike: here nobody has compared them
    trained.tamper("UPDATE keepwell.models SET status = 'challenger', promoted_at = NULL "
                   "WHERE tenant_id = %s", trained.tenant_id)  # fmt: skip
    trained.tamper("UPDATE keepwell.models SET status = 'champion', promoted_at = now() "
                   "WHERE digest = %s", model["digest"])  # fmt: skip
    trained.tamper("DELETE FROM keepwell.model_trials WHERE challenger = %s", other["digest"])
    with pytest.raises(ModelNotBetter, match="never compared"):
        await promoted(trained, other["digest"])
    await promoted(trained, other["digest"][:12], anyway=True, reason="to see it at work")
    by_the_other = [await trained.decide(contact) for contact in contacts]
    assert {each["versions"]["model_digest"] for each in by_the_other} == {other["digest"]}
    assert [each["health"] for each in by_the_other] != [each["health"] for each in by_the_first]
    forget_playbooks()
    for decided in by_the_first:
        assert (await trained.replay(decided["id"]))["verdict"] == "identical"
    async with trained.transaction() as connection:
        back = await roll_back_model(connection, trained.tenant_id, by="ada", reason="seen")
    assert (back["digest"], back["instead_of"]) == (model["digest"], other["digest"])
    rows = await trained.rows("SELECT digest, status FROM keepwell.models")
    assert {row["digest"]: row["status"] for row in rows} == {
        model["digest"]: "champion", other["digest"]: "challenger",
    }  # fmt: skip
    async with trained.transaction() as connection:
        with pytest.raises(ModelNotFound):  # one taken back is not gone back to
            await roll_back_model(connection, trained.tenant_id, by="ada")
        shown = await show_model(connection, model["digest"][:8])
    assert shown["trials"][0]["result"]["reason"].startswith("the first model")
    assert shown["facts"]["data_until"] == model["data_until"]
    assert shown["features"]


async def test_decisions_use_the_champion_and_replay_after_a_restart(trained, model):
    (contact, *_) = await some_contacts(trained)
    decided = await trained.decide(contact)
    assert decided["health"]["tier"] == "model"
    assert decided["versions"]["model_digest"] == model["digest"]
    assert 0.0 <= decided["health"]["hazard_30d"] <= decided["health"]["hazard_90d"] <= 1.0
    forget_playbooks()
    replayed = await trained.replay(decided["id"])
    assert (replayed["verdict"], replayed["differences"]) == ("identical", [])


async def test_the_score_of_a_moment_is_the_one_its_decisions_saw(trained):
    moment = trained.now()
    summary = await scored(trained, moment)
    assert (summary["tier"], summary["note"]) == ("model", "model")
    assert summary["contacts"] == 400
    assert sum(summary["levels"].values()) == 400
    rows = await trained.rows(
        "SELECT contact_id, overall_health_score AS score, hazard_30d, hazard_60d, hazard_90d "
        "FROM customer_health_scores WHERE as_of = :at ORDER BY contact_id LIMIT 20",
        at=moment,
    )
    for row in rows:
        health = (await trained.decide(row["contact_id"], as_of=moment, dry_run=True))["health"]
        assert {k: row[k] for k in ("hazard_30d", "hazard_60d", "hazard_90d")} == {
            k: health[k] for k in ("hazard_30d", "hazard_60d", "hazard_90d")
        }
        assert row["score"] == health["score"]


async def test_scoring_a_moment_again_replaces_its_rows_and_another_moment_adds(trained):
    (contact,) = await some_contacts(trained, 1)
    moment = trained.now() - timedelta(hours=1)
    await scored(trained, moment)
    before = await trained.count("customer_health_scores")
    await trained.execute(
        "UPDATE customer_health_scores SET model_version = 'altered' WHERE contact_id = :id",
        id=contact,
    )
    await scored(trained, moment)
    assert await trained.count("customer_health_scores") == before
    async with trained.transaction() as connection:
        shown = await show_health(connection, trained.tenant_id, str(contact))
        newest = (await list_health_scores(connection, contact))[0]
    at_moment = [h for h in shown["history"] if datetime.fromisoformat(h["as_of"]) == moment]
    assert len(at_moment) == 1
    assert at_moment[0]["model_version"] != "altered"
    assert shown["latest"]["overall_health_score"] == newest["overall_health_score"]
    await scored(trained, moment + timedelta(minutes=1))
    assert await trained.count("customer_health_scores") == before + 400


async def test_a_moment_before_the_training_gets_the_scorecard_and_the_reason(trained, model):
    early = datetime.fromisoformat(model["trained_until"]) - timedelta(seconds=1)
    summary = await scored(trained, early)
    assert summary["tier"] == "scorecard"
    assert summary["note"] == "scorecard: the model has seen data after this moment"
    (contact,) = await some_contacts(trained, 1)
    decided = await trained.decide(contact, as_of=early, dry_run=True)
    assert decided["health"]["tier"] == "scorecard"
    assert decided["versions"]["model_digest"] is None
    at_the_end = datetime.fromisoformat(model["trained_until"])
    assert (await trained.decide(contact, as_of=at_the_end, dry_run=True))["health"][
        "tier"
    ] == "model"


async def test_a_corrupt_model_gives_way_to_the_scorecard_and_the_replay_tells(trained, model):
    (contact,) = await some_contacts(trained, 1)
    decided = await trained.decide(contact)
    (whole,) = await trained.rows("SELECT artefact FROM keepwell.models WHERE status = 'champion'")
    change = "UPDATE keepwell.models SET artefact = %s WHERE tenant_id = %s AND status = 'champion'"
    # still a model that loads, but not the one that was trained
    artefact = bytes(whole["artefact"])
    altered = artefact.replace(b'"data_from":"2024', b'"data_from":"2023')
    assert altered != artefact
    trained.tamper(change, altered, trained.tenant_id)
    forget_playbooks()
    try:
        summary = await scored(trained)
        assert summary["tier"] == "scorecard"
        assert summary["note"].startswith("scorecard: ")
        assert summary["note"] != "scorecard: no model has been trained for this tenant"
        after = await trained.decide(contact)
        assert (after["health"]["tier"], after["versions"]["model_digest"]) == ("scorecard", None)
        replayed = await trained.replay(decided["id"])
        assert replayed["verdict"] == "differs"
        assert ("versions", "model_digest") in {
            (d["where"], d["field"]) for d in replayed["differences"]
        }
    finally:
        trained.tamper(change, artefact, trained.tenant_id)
        forget_playbooks()
    assert (await trained.replay(decided["id"]))["verdict"] == "identical"


async def test_a_whole_model_under_the_name_of_another_gives_way_too(trained, model):
    (other,) = await trained.rows(
        "SELECT digest FROM keepwell.models WHERE digest <> :d LIMIT 1", d=model["digest"]
    )
    trained.tamper(
        "UPDATE keepwell.models SET artefact = CASE digest WHEN %s THEN "
        "(SELECT artefact FROM keepwell.models WHERE digest = %s) ELSE artefact END",
        model["digest"],
        other["digest"],
    )
    forget_playbooks()
    try:
        assert (await scored(trained))["tier"] == "scorecard"
    finally:
        trained.tamper("DELETE FROM keepwell.models WHERE digest = %s", model["digest"])
        async with trained.transaction() as connection:
            again = await train_churn(connection, trained.runtime, trained.tenant_id)
        forget_playbooks()
    assert again["digest"] == model["digest"]
    assert (await scored(trained))["tier"] == "model"


async def test_a_practice_without_history_is_told_what_it_takes(practice):
    contact = await practice.add_missed()
    async with practice.transaction() as connection:
        with pytest.raises(TooFewData):
            await train_churn(connection, practice.runtime, practice.tenant_id)
    assert await practice.count("keepwell.models") == 0
    summary = await scored(practice)
    assert (summary["contacts"], summary["tier"]) == (1, "scorecard")
    assert summary["note"] == "scorecard: no model has been trained for this tenant"
    assert (await practice.decide(contact, dry_run=True))["health"]["tier"] == "scorecard"


async def test_health_of_others_is_not_shown(practice, trained):
    (foreign,) = await some_contacts(trained, 1)
    mine = await practice.add_contact()
    async with practice.transaction() as connection:
        with pytest.raises(ContactNotFound):
            await show_health(connection, practice.tenant_id, str(foreign))
        shown = await show_health(connection, practice.tenant_id, str(mine))
    assert (shown["latest"], shown["history"]) == (None, [])


async def test_a_practice_without_contacts_is_scored(practice):
    assert (await scored(practice, datetime(2026, 3, 1, tzinfo=UTC)))["contacts"] == 0


async def test_a_run_that_fails_leaves_the_scores_of_the_run_before(trained):
    before = await trained.count("customer_health_scores")
    runs = await trained.count("keepwell.runs")

    def cut(done: int, total: int | None) -> None:
        raise RuntimeError(f"cut after {done} of {total}")

    with pytest.raises(RuntimeError, match="cut after 400 of 400"):
        async with trained.transaction() as connection:
            await score_health(connection, trained.runtime, trained.tenant_id, on_progress=cut)
    assert await trained.count("customer_health_scores") == before
    assert await trained.count("keepwell.runs") == runs


async def test_a_level_set_by_a_person_survives_every_analysis_until_it_is_lifted(trained):
    (contact,) = await some_contacts(trained, 1)
    await scored(trained)
    end = trained.now() + 10 * DAY
    async with trained.transaction() as connection:
        told = await override_health(
            connection, trained.runtime, trained.tenant_id, str(contact),
            NewOverride(contact, "she told us she moves away", "ada", end, 20, "critical"),
        )  # fmt: skip
    assert (told["latest"]["churn_risk_level"], told["override"]["author"]) == ("critical", "ada")
    await scored(trained)
    async with trained.transaction() as connection:
        kept = await show_health(connection, trained.tenant_id, str(contact))
        row = (await list_health_scores(connection, contact))[0]
    assert (row["churn_risk_level"], row["overall_health_score"]) == ("critical", 20)
    assert row["level_reason"].startswith("set by ada until ")
    assert kept["latest"]["component_score"] != 20  # what the parts say stands beside it
    async with trained.transaction() as connection:
        lifted = await lift_override(
            connection, trained.runtime, trained.tenant_id, str(contact), by="bob"
        )
        with pytest.raises(OverrideNotFound):
            await lift_override(
                connection, trained.runtime, trained.tenant_id, str(contact), by="bob"
            )
    assert lifted["override"] is None
    assert lifted["latest"]["overall_health_score"] == lifted["latest"]["component_score"]
    lines = await trained.rows(
        "SELECT actor, action FROM keepwell.audit_trail WHERE entity = 'health' ORDER BY id"
    )
    assert [(line["actor"], line["action"]) for line in lines] == [
        ("ada", "override"), ("bob", "lift_override"),
    ]  # fmt: skip


async def test_who_may_leave_is_listed_page_by_page_at_full_precision(trained):
    await scored(trained)
    async with trained.transaction() as connection:
        whole = await show_at_risk(connection, AtRiskAsked(limit=200))
        paged, cursor = [], None
        while True:
            page = await show_at_risk(connection, AtRiskAsked(limit=7, cursor=cursor))
            paged += page["contacts"]
            cursor = page["next"]
            if cursor is None:
                break
        with pytest.raises(InvalidInput):
            await show_at_risk(connection, AtRiskAsked(cursor="bm90IG91cnM"))
    assert paged == whole["contacts"]
    risks = [each["hazard_90d"] for each in paged]
    assert risks == sorted(risks, reverse=True)
    assert len(paged) > 20
    assert {each["churn_risk_level"] for each in paged} <= {"medium", "high", "critical"}
    assert all(each["risk_factors"] is not None for each in paged)
    assert all(each["recommended_actions"] is not None for each in paged)


async def test_weights_are_set_and_fitted_and_every_version_is_kept(trained):
    async with trained.transaction() as connection:
        now = trained.now()
        told = await set_weights(
            connection, trained.tenant_id, {"engagement": 0.7}, Author("ada", "we know"), at=now
        )
        assert sum(told["weights"].values()) == pytest.approx(1)
        fitted = await fit_health_weights(
            connection, trained.runtime, trained.tenant_id, Author("bob"), apply=False
        )
        levels = await fit_health_levels(
            connection, trained.runtime, trained.tenant_id, Author("bob"), recall=0.8
        )
        shown = await show_health_settings(connection, trained.now())
    assert fitted["auc_then"] >= fitted["auc_before"] - 0.05
    assert fitted["auc_then"] > 0.6
    assert levels["recall"] >= 0.8
    assert shown["high_from"] == pytest.approx(levels["high_from"])
    assert [each["made_by"] for each in shown["history"]] == ["bob", "ada"]
    assert shown["history"][1]["reason"] == "we know"


async def test_drift_is_told_and_kept_and_the_page_shows_what_happened(trained):
    async with trained.transaction() as connection:
        report = await watch_drift(connection, trained.runtime, trained.tenant_id)
        kept = await monthly_drift(connection)
        page, figures = await churn_report(connection, trained.runtime, trained.tenant_id)
    assert report["model"] is not None
    assert kept[0] == orjson.loads(orjson.dumps(report))
    assert {each["horizon_days"] for each in report["calibration"]} == {30, 90}
    assert page.count("<svg") >= 6
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert figures["horizons"]["90"]["auc"] > 0.6
