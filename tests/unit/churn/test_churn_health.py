import json
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.artifact import TrainedModel
from churn.confidence import Judgement
from churn.definition import ChurnDefinition, Rhythm, rhythm
from churn.features import churn_features, shown
from churn.hazards import Factor, Hazards
from churn.health import health_scores
from churn.health_policy import PARTS, HealthPolicy
from churn.levels import cut_for_precision, cut_for_recall, risk_levels
from churn.model import HazardModel
from churn.score import SCORECARD_VERSION, ScorecardBasis, score
from engine.errors import InvalidInput, TooFewData
from engine.features.columns import feature_columns
from engine.features.contact import HistoryEvent, features_of
from tests.unit.churn.small_business import Business

NOW = datetime(2025, 5, 1, 10, tzinfo=UTC)
DEFINITION = ChurnDefinition(("appointment.kept",))
PLAIN: dict[str, object] = {
    "contact_id": "a",
    "visits_total": 4,
    "visits_365d": 4,
    "days_since_last_visit": 30.0,
    "days_since_first_visit": 400.0,
    "median_visit_interval_days": 48.0,  # the tenant's as well: limit 120
    "spend_365d_cents": 120_000,
    "next_booking_in_days": None,
    "no_shows_180d": 0,
    "complaints_180d": 0,
    "late_payments_365d": 0,
    "messages_sent_365d": 0,
    "replies_365d": 0,
    "clicks_365d": 0,
    "opens_365d": 0,
    "last_satisfaction": None,
    "satisfaction_365d": None,
    "sentiment_365d": None,
    "late_payment_share_365d": None,
    "open_disputes": 0,
    "open_tickets": 0,
    "email_out_365d": 0,
    "email_in_365d": 0,
}
SCHEMA = {name: pl.String if name == "contact_id" else pl.Float64 for name in PLAIN}
START = HealthPolicy()


def standing_of(table: pl.DataFrame) -> Rhythm:
    return rhythm(table, DEFINITION, tenant_median_days=48.0)


def health(
    chances: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3),
    factors: tuple[Factor, ...] | None = None,
    policy: HealthPolicy = START,
    previous: list[str | None] | None = None,
    **changes: object,
) -> dict[str, object]:
    table = pl.DataFrame([PLAIN | changes], schema=SCHEMA)
    hazards = Hazards(*(np.array([chance]) for chance in chances))
    judged = Judgement("model", "m1", hazards, (factors,))
    return health_scores(
        table, standing_of(table), judged, as_of=NOW, policy=policy, previous=previous
    ).row(0, named=True)


@pytest.mark.parametrize(
    ("chance", "level"),
    [
        (0.0, "low"),
        (0.1499, "low"),
        (0.15, "medium"),
        (0.3499, "medium"),
        (0.35, "high"),
        (0.60, "high"),
        (0.6001, "critical"),
        (1.0, "critical"),
        (float("nan"), None),
    ],
)
def test_the_level_is_read_from_the_next_90_days(chance: float, level: str | None):
    assert risk_levels(np.array([chance]), START) == [level]


def test_retention_is_the_other_side_of_the_risk():
    row = health((0.01, 0.1, 0.256, 0.3))
    assert (row["churn_probability"], row["retention_probability"]) == (0.26, 0.74)
    assert row["hazard_90d"] == 0.256
    assert row["churn_risk_level"] == "medium"
    assert row["analysis_date"] == NOW


def test_who_never_came_gets_no_number_at_all():
    row = health(
        (np.nan,) * 4,
        visits_total=0,
        visits_365d=0,
        days_since_last_visit=None,
        days_since_first_visit=None,
        median_visit_interval_days=None,
        spend_365d_cents=0,
    )
    empty = {
        "overall_health_score",
        "churn_probability",
        "retention_probability",
        "churn_risk_level",
        "engagement_score",
        "predicted_ltv",
        "predicted_churn_date",
        "hazard_30d",
        "hazard_120d",
    }
    assert {name: row[name] for name in empty} == dict.fromkeys(empty)
    assert row["confidence_level"] == 0


@pytest.mark.parametrize(
    ("changes", "column", "expected"),
    [
        ({}, "engagement_score", 75),  # 30 of 120 days used up
        ({"next_booking_in_days": 3.0, "days_since_last_visit": 110.0}, "engagement_score", 70),
        ({"no_shows_180d": 2}, "engagement_score", 55),
        ({"no_shows_180d": 9}, "engagement_score", 45),
        ({"complaints_180d": 1}, "satisfaction_score", 60),
        ({"complaints_180d": 9}, "satisfaction_score", 0),
        ({"late_payments_365d": 2}, "payment_behavior_score", 60),
        ({"open_disputes": 1}, "payment_behavior_score", 80),
        ({"last_satisfaction": 9.0}, "satisfaction_score", 90),
        ({"last_satisfaction": 8.0, "sentiment_365d": -1.0}, "satisfaction_score", 60),
        ({"sentiment_365d": 0.5}, "satisfaction_score", 75),
        ({"open_tickets": 1}, "satisfaction_score", 90),
        ({"email_out_365d": 4, "email_in_365d": 1}, "communication_responsiveness_score", 25),
        ({}, "communication_responsiveness_score", None),  # no message, no answer to judge
        (
            {"messages_sent_365d": 10, "replies_365d": 2, "clicks_365d": 1, "opens_365d": 4},
            "communication_responsiveness_score",
            40,  # (2 + 1 + 4 / 4) / 10
        ),
    ],
)
def test_components_follow_their_stated_formula(
    changes: dict[str, object], column: str, expected: int | None
):
    assert health(**changes)[column] == expected


def test_of_what_nothing_is_known_the_part_is_null_never_a_middle_value():
    row = health()
    assert row["satisfaction_score"] is None
    assert row["payment_behavior_score"] is None
    assert row["overall_health_score"] == row["engagement_score"] == 75


def test_health_is_the_weighted_mean_of_the_parts_that_are_known():
    row = health(last_satisfaction=9.0, satisfaction_365d=7.0, late_payment_share_365d=0.0)
    assert (row["engagement_score"], row["satisfaction_score"]) == (75, 80)
    assert row["payment_behavior_score"] == 100
    # 0.45, 0.25 and 0.15 of 0.85
    assert row["overall_health_score"] == round((0.45 * 75 + 0.25 * 80 + 0.15 * 100) / 0.85)
    told = json.loads(row["components"])
    assert told["satisfaction"]["score"] == 80
    assert told["satisfaction"]["inputs"]["last_satisfaction"] == 9.0
    assert told["communication_responsiveness"]["score"] is None
    assert told["engagement"]["inputs"]["limit_days"] == 120.0


def test_weights_of_the_tenant_decide_what_counts():
    weights = dict.fromkeys(PARTS, 0.0) | {"satisfaction": 1.0}
    row = health(policy=HealthPolicy(weights), last_satisfaction=3.0)
    assert row["overall_health_score"] == 30
    assert health(policy=HealthPolicy(weights))["overall_health_score"] == 75  # what there is


@pytest.mark.parametrize(
    "weights",
    [
        {"engagement": 1.0},
        dict.fromkeys(PARTS, 0.3),
        dict.fromkeys(PARTS, 0.5) | {"engagement": -0.5},
    ],
)
def test_weights_that_are_no_shares_of_one_are_refused(weights: dict[str, float]):
    with pytest.raises(InvalidInput):
        HealthPolicy(weights)


@pytest.mark.parametrize(
    ("before", "chance", "level"),
    [
        ("high", 0.34, "high"),  # not five points under its beginning
        ("high", 0.299, "medium"),
        ("critical", 0.56, "critical"),
        ("critical", 0.54, "high"),
        ("critical", 0.11, "medium"),  # falls at once as far as it must, and no further
        ("low", 0.36, "high"),  # rising waits for nothing
        (None, 0.34, "medium"),
    ],
)
def test_a_level_is_left_downwards_only_with_a_margin(before, chance, level):
    assert health((0.0, 0.0, chance, chance), previous=[before])["churn_risk_level"] == level


@pytest.mark.parametrize(
    ("chances", "silence", "expected"),
    [
        ((0.0, 0.0, 0.2, 0.49), 30.0, None),  # leaving is not the likelier outcome
        ((0.0, 0.0, 0.6, 0.7), 45.0, date(2025, 7, 15)),  # the limit: 75 days on
        ((0.1, 0.2, 0.4, 0.6), 110.0, date(2025, 7, 15)),  # half of 0.6 is reached on day 75
        ((1.0, 1.0, 1.0, 1.0), 130.0, date(2025, 4, 21)),  # the limit passed ten days ago
    ],
)
def test_a_churn_date_is_named_only_where_leaving_is_likelier(
    chances: tuple[float, ...], silence: float, expected: date | None
):
    assert health(chances, days_since_last_visit=silence)["predicted_churn_date"] == expected


def test_a_years_value_is_spend_times_survival():
    assert health((0.0, 0.0, 0.0, 0.0))["predicted_ltv"] == 1200.0
    # hazard of one half in 120 days: S at month m is 0.5^(m / 4); trapezoid over 12 months
    survival = [0.5 ** (month / 4) for month in range(13)]
    mean = sum((survival[m] + survival[m + 1]) / 2 for m in range(12)) / 12
    chances = tuple(1 - survival[month] for month in range(1, 5))
    assert health(chances)["predicted_ltv"] == pytest.approx(1200 * mean, abs=0.006)


def test_a_new_contacts_spend_is_stretched_from_a_quarter_at_most():
    row = health((0.0,) * 4, days_since_first_visit=10.0, spend_365d_cents=9_000)
    assert row["predicted_ltv"] == pytest.approx(90 * 365 / 90)


def test_value_is_null_without_amounts_and_nothing_once_gone():
    assert health(spend_365d_cents=0)["predicted_ltv"] is None
    assert health((1.0,) * 4, days_since_last_visit=121.0)["predicted_ltv"] == 0


def test_factors_are_split_into_what_speaks_for_and_against():
    bad, good = Factor("silence", 9.0, "long", 0.7), Factor("visits", 4.0, "often", -0.2)
    certain = Factor("silence", 130.0, "gone", None)
    row = health(factors=(bad, good, certain))
    assert [f["text"] for f in row["risk_factors"]] == ["long", "gone"]
    assert row["positive_indicators"] == [
        {"factor": "visits", "value": 4.0, "text": "often", "points": -0.2}
    ]
    assert health(factors=None)["risk_factors"] is None


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.floats(0, 170))
def test_the_churn_date_lies_in_its_interval_and_within_the_horizon(
    chances: list[float], silence: float
):
    row = health(tuple(sorted(chances)), days_since_last_visit=silence)
    dates = [row[n] for n in ("churn_date_from", "predicted_churn_date", "churn_date_to")]
    if silence < 120 and sorted(chances)[3] < 0.5:
        assert dates == [None, None, None]
    else:
        assert dates[0] <= dates[1] <= dates[2]
        assert (dates[2] - NOW.date()).days <= 120


def scored(business: Business, scorer: HazardModel | ScorecardBasis, **options: bool):
    features = feature_columns(
        business.contacts,
        business.events,
        churn_features(business.definition),
        as_of=business.until,
    )
    return features, lambda rows: score(rows, scorer, as_of=business.until, policy=START, **options)


@pytest.mark.parametrize("tier", ["model", "scorecard"])
def test_a_contact_alone_gets_the_same_row_as_among_all(
    business: Business, trained: TrainedModel, tier: str
):
    scorer = HazardModel(trained) if tier == "model" else ScorecardBasis(business.definition, 30.0)
    features, scoring = scored(business, scorer)
    together = scoring(features)
    assert together["contact_id"].to_list() == features["contact_id"].to_list()
    for row in range(0, features.height, 37):
        assert scoring(features[row]).equals(together[row])
    assert scoring(features.clear()).schema == together.schema


def test_the_zone_in_which_the_moment_is_told_changes_nothing(business: Business):
    features, scoring = scored(business, ScorecardBasis(business.definition, 30.0))
    rows = score(
        features,
        ScorecardBasis(business.definition, 30.0),
        as_of=business.until.astimezone(ZoneInfo("America/Sao_Paulo")),
        policy=START,
    )
    assert rows.equals(scoring(features))


def test_the_flat_row_of_one_contact_scores_as_its_row_in_the_batch(
    business: Business, trained: TrainedModel
):
    features, scoring = scored(business, HazardModel(trained))
    together = scoring(features)
    specs = churn_features(business.definition)
    for number in (0, 7, 99):
        contact = features["contact_id"][number]
        events = [
            HistoryEvent(**row)
            for row in business.events.filter(pl.col("contact_id") == contact)
            .drop("contact_id")
            .to_dicts()
        ]
        flat = features_of({}, events, specs, as_of=business.until, zone=ZoneInfo("Europe/London"))
        row = scoring(pl.DataFrame([{"contact_id": contact, **flat}]))
        assert row.equals(together[number])


def test_each_score_names_who_judged_and_how_sure_it_is(business: Business, trained: TrainedModel):
    model = HazardModel(trained)
    features, by_model = scored(business, model)
    _, by_card = scored(business, ScorecardBasis(business.definition, 30.0))
    judged, carded = by_model(features), by_card(features)
    assert set(judged["model_version"]) == {model.digest}
    assert set(carded["model_version"]) == {SCORECARD_VERSION}
    came = features["visits_total"] > 0
    assert (judged["confidence_level"] > carded["confidence_level"]).filter(came).all()
    assert (judged["confidence_level"].filter(~came) == 0).all()
    assert carded["confidence_reason"].str.starts_with("the scorecard").all()


def test_who_is_at_low_risk_is_not_explained_unless_asked(
    business: Business, trained: TrainedModel
):
    features, scoring = scored(business, HazardModel(trained))
    rows = scoring(features)
    low = rows["churn_risk_level"] == "low"
    assert rows.filter(low)["risk_factors"].null_count() == low.sum() > 0
    assert rows.filter(~low)["risk_factors"].null_count() == 0
    _, everyone = scored(business, HazardModel(trained), explain_all=True)
    came = features["visits_total"] > 0
    assert everyone(features).filter(came)["risk_factors"].null_count() == 0


def test_who_has_gone_is_told_by_the_rule_not_by_the_model(
    business: Business, trained: TrainedModel
):
    features, scoring = scored(business, HazardModel(trained))
    gone = scoring(features).filter(pl.col("hazard_30d") == 1)
    assert gone.height > 50
    for factors in gone["risk_factors"].to_list():
        assert [factor["points"] for factor in factors] == [None]
        assert "the limit for this contact is" in factors[0]["text"]


def test_values_are_shown_in_their_unit():
    assert shown("credits_365d_cents", -771_891) == "-7,718.91"
    assert shown("no_show_share_365d", 0.254) == "25%"
    assert shown("visits_90d", 3.0) == "3"
    assert shown("median_visit_interval_days", None) == "visited on fewer than two days"
    assert shown("a_feature_of_tomorrow", None) == "not known"


def test_a_bound_is_chosen_for_what_it_is_to_reach():
    # of the ten most likely in each hundred nine churn, of the next ten five, of the rest none
    chance = np.repeat([0.9, 0.5, 0.1], [100, 100, 800])
    churned = np.concatenate([np.arange(100) < 90, np.arange(100) < 50, np.zeros(800) > 0])
    precise = cut_for_precision(chance, churned, 0.85)
    assert (precise.bound, precise.precision) == (0.9, 0.9)
    assert precise.recall == pytest.approx(90 / 140)
    caught = cut_for_recall(chance, churned, 0.85)
    assert (caught.bound, caught.recall, caught.precision) == (0.5, 1.0, 0.7)
    with pytest.raises(TooFewData):
        cut_for_precision(chance, churned, 0.95)
    with pytest.raises(TooFewData):
        cut_for_recall(chance, np.zeros(1000, dtype=np.bool_), 0.5)
