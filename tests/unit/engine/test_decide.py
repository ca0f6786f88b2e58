"""What no decision may ever do, over random contacts, actions and moments."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.actions import CHANNELS, PURPOSES, Action, ActionColumns, action_columns
from engine.candidates import (
    CONSENT_FLAGGED,
    CONSENT_GRANTED,
    CONSENT_NONE,
    CONSENT_REVOKED,
    Contacts,
    Proposals,
)
from engine.chance import contact_keys
from engine.decide import Decisions, Moment, decide
from engine.policy.groups import Group, in_holdout
from engine.policy.quiet_hours import is_open, place
from engine.policy.settings import (
    Approval,
    Budget,
    Capacity,
    ContextWeight,
    CoolOff,
    Holiday,
    LegalWindow,
    Lever,
    LoweredCaps,
    Rest,
    Rollout,
)
from engine.policy.stages import lowered_count
from engine.reasons import Reason, Stage
from engine.slots import SLOTS
from tests.factories.contacts import (
    CAPS,
    any_allowed,
    contact_id,
    everything,
    make_action,
    make_contacts,
    make_policy,
)

TUESDAY_NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
ZONES = (
    "UTC", "America/New_York@US-NY", "Asia/Kolkata", "America/St_Johns", "Mars/Phobos",
    "America/Chicago@US-TX,US-LA",
)  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    contacts: Contacts
    proposals: Proposals
    actions: ActionColumns
    policy: object
    moment: Moment

    def decided(self) -> Decisions:
        return decide(
            self.contacts, self.proposals, self.actions, self.policy, self.moment, any_allowed
        )


def at(as_of: datetime = TUESDAY_NOON) -> Moment:
    return Moment(tenant="tenant", as_of=as_of, seed=7)


NEW_YEAR = Holiday("*", month=1, day=1)
POLICY = make_policy(
    usual_share=0.1,
    random_share=0.1,
    holidays=(NEW_YEAR, Holiday("US", nth=-1, weekday=0, month=5)),
    legal=(LegalWindow("US-TX", ((540, 1260),) * 6 + ((720, 1260),)),),
    lowered=LoweredCaps(3, 60, 0.5, ("marketing",)),
    rest=Rest(2, 30, 60, 3, ("marketing",)),
    cool_off=(CoolOff("complaint.resolved", 14, ("marketing", "service")),),
    contexts=(ContextWeight("cancellation.requested", 7, ("a0", "purpose:marketing"), 3.0),),
    levers=(Lever("a1", 50.0, "", "season"), Lever("a2", -100.0, "2026-06-30", "not now")),
    budgets=(Budget("spring", 50_000, "month", (("a0", 2_500),)),),
    capacity=(Capacity("appointment.booked", 10, 1, ""), Capacity("estimate.sent", 5, 0, "")),
    rollout=(Rollout("a1", 0.5),),
    approval=Approval(1_000, 0.9),
)
GOALS = ("appointment.booked", "estimate.sent", "invoice.paid")

SPANS = ((0, 24 * 60), (9 * 60, 12 * 60 + 30), (15 * 60, 20 * 60))


def random_actions(rng: np.random.Generator, count: int) -> tuple[Action, ...]:
    return tuple(
        make_action(
            f"a{n}",
            purpose=PURPOSES[rng.integers(3)],
            channels=tuple(c for c in CHANNELS if rng.random() < 0.7) or ("email",),
            value_cents=int(rng.integers(0, 20_000)),
            if_contacted=float(rng.choice([0.05, 0.2, 0.3])),
            priority=int(rng.integers(3)),
            cooldown_days=float(rng.choice([0.0, 7.0, 30.0])),
            send_within_hours=float(rng.choice([1.0, 24.0, 72.0])),
            send_between=SPANS[rng.integers(len(SPANS))],
            goal_event=str(rng.choice(GOALS, p=[0.4, 0.1, 0.5])),
            shadow=bool(rng.random() < 0.1),
        )
        for n in range(count)
    )


def random_case(seed: int, as_of: datetime, *, contacts: int = 40, share: float = 0.2) -> Case:
    rng = np.random.default_rng(seed)
    n, actions = contacts, random_actions(rng, int(rng.integers(1, 6)))
    all_pairs = everything(n, len(actions))
    kept = rng.random(len(all_pairs.contact)) < 0.7
    proposals = Proposals(
        all_pairs.contact[kept],
        all_pairs.action[kept],
        rng.choice([np.nan, 0.0, 6.9, 7.0, 29.5, 400.0], size=int(kept.sum())),
        carried=rng.random(int(kept.sum())) < 0.05,
    )
    codes = [CONSENT_GRANTED, CONSENT_GRANTED, CONSENT_NONE, CONSENT_REVOKED, CONSENT_FLAGGED]
    people = make_contacts(
        n,
        zones=ZONES,
        reachable=rng.random((n, len(CHANNELS))) < 0.8,
        consent=rng.choice(codes, size=(n, len(CHANNELS), len(PURPOSES))),
        sends=rng.integers(0, 4, size=(n, len(CAPS))) * (rng.random((n, 1)) < 0.5),
        recent_sends=rng.integers(0, 4, size=n),
        open_complaint=rng.random(n) < 0.2,
        context=rng.random((n, 4)),
        unanswered=rng.integers(0, 5, size=n),
        rest_days=rng.choice([0.0, 0.5, 40.0], size=n, p=[0.8, 0.1, 0.1]),
        since=rng.choice([np.nan, 0.0, 6.0, 20.0], size=(n, len(POLICY.events))),
        no_ai=rng.random(n) < 0.1,
        budget_left=rng.integers(-500, 6_000, size=(n, len(POLICY.budgets))),
        hazard_90d=rng.choice([np.nan, 0.1, 0.95], size=n),
    )
    policy = replace(POLICY, holdout_share=share)
    return Case(people, proposals, action_columns(actions), policy, at(as_of))


def moments(start: datetime, days: int) -> st.SearchStrategy[datetime]:
    return st.timedeltas(timedelta(0), timedelta(days=days)).map(lambda after: start + after)


cases = st.builds(
    random_case,
    st.integers(0, 2**32),
    st.one_of(
        moments(datetime(2026, 1, 1, tzinfo=UTC), 364),
        # the clocks change in New York and St. John's
        moments(datetime(2026, 3, 7, 12, tzinfo=UTC), 2),
        moments(datetime(2026, 10, 31, 12, tzinfo=UTC), 2),
    ),
)


def assert_within_the_policy(case: Case, decided: Decisions, who: int, row: int) -> None:
    contacts, found = case.contacts, decided.candidates
    action = case.actions.actions[found.action[row]]
    since_resolved, since_cancelled = contacts.since[who]
    assert not (contacts.rest_days[who] > 0 and action.purpose == "marketing")
    assert not (since_resolved < 14 and action.purpose in {"marketing", "service"})
    assert action.goal_event != "estimate.sent"  # no place is free
    if action.id == "a0":
        assert contacts.budget_left[who, 0] >= 2_500
    tripled = since_cancelled < 7 and (action.id == "a0" or action.purpose == "marketing")
    assert found.context[row] == (3.0 if tripled else 1.0)
    # a tenth of the places is free; from a quarter on nothing is lost
    assert found.capacity[row] == (0.4 if action.goal_event == "appointment.booked" else 1.0)
    assert found.needs_approval[row] == (action.id == "a0" or contacts.hazard_90d[who] > 0.9)


@given(cases)
def test_no_decision_breaks_the_policy(case):
    decided, contacts, actions = case.decided(), case.contacts, case.actions
    held = in_holdout(contacts, case.policy, case.moment.tenant)
    for chosen, who in enumerate(decided.chosen):
        row = decided.winner[who]
        action = actions.actions[decided.candidates.action[row]]
        purpose = PURPOSES.index(action.purpose)
        channel = int(decided.treatments.channel[chosen])
        slot = SLOTS[decided.treatments.slot[chosen]]

        assert contacts.consent[who, channel, purpose] == CONSENT_GRANTED
        assert contacts.reachable[who, channel]
        assert CHANNELS[channel] in action.channels
        assert not action.shadow
        assert not held[who]
        assert not case.proposals.carried[row]
        assert not contacts.open_complaint[who] or action.purpose == "treatment"
        assert not case.proposals.days_since_same[row] < action.cooldown_days
        tired = contacts.unanswered[who] >= 3
        for number, cap in enumerate(CAPS):
            if cap.purpose == action.purpose:
                most = lowered_count(cap, POLICY.lowered) if tired else cap.max_count
                assert contacts.sends[who, number] + 1 <= most
        assert_within_the_policy(case, decided, who, row)

        where = place(contacts.zones[contacts.zone[who]])
        leaves = EPOCH + timedelta(microseconds=int(decided.send_at_us[chosen]))
        local = leaves.astimezone(where.zone)
        assert case.moment.as_of <= leaves
        assert is_open(leaves, where, case.policy)
        assert slot.start <= local.hour * 60 + local.minute < slot.end
        start, end = action.send_between
        assert start <= local.hour * 60 + local.minute < end
        # the slot opens in time; the spread adds three quarters of an hour at most
        assert leaves <= case.moment.as_of + timedelta(hours=action.send_within_hours + 0.75)
        found = decided.candidates
        plain = decided.group[who] in {Group.USUAL, Group.PLAIN}
        assert decided.score_cents[who] > 0 or plain or decided.group[who] == Group.RANDOM
        assert contacts.no_ai[who] == (decided.group[who] == Group.PLAIN)
        if plain:
            assert decided.treatments.selection_probability[chosen] == 1.0
            first = next(
                c for c in action.channels if found.channels_left()[row][CHANNELS.index(c)]
            )
            assert CHANNELS[channel] == first


@given(cases)
def test_every_candidate_keeps_a_verdict_and_only_winners_have_none(case):
    decided = case.decided()
    found = decided.candidates
    assert np.array_equal(found.contact, case.proposals.contact)
    assert np.array_equal(found.action, case.proposals.action)
    won = np.zeros(len(found.contact), dtype=np.bool_)
    won[decided.winner[decided.winner >= 0]] = True
    assert np.array_equal(found.removed_by == Stage.NONE, won)
    assert np.array_equal(found.reason == Reason.NONE, won)
    assert np.isfinite(found.score_cents).all()
    # a winner is the best of what came as far as arbitration
    for who, row in enumerate(decided.winner):
        rivals = found.score_cents[(found.contact == who) & (found.removed_by >= Stage.ARBITRATION)]
        if row >= 0:
            assert found.contact[row] == who
            judged = decided.group[who] == Group.ENGINE
            assert rivals.max(initial=-np.inf) <= found.score_cents[row] or not judged
        else:
            assert decided.score_cents[who] == 0
            assert decided.reason[who] != Reason.HIGHEST_VALUE


@given(cases, st.integers(0, 39))
def test_a_contact_alone_gets_the_decision_it_gets_in_a_batch(case, who):
    together = case.decided()
    contacts = case.contacts
    mine = case.proposals.contact == who
    alone = replace(
        case,
        contacts=replace(
            contacts,
            ids=[contacts.ids[who]],
            keys=contacts.keys[[who]],
            zone=np.zeros(1, dtype=np.int64),
            zones=(contacts.zones[contacts.zone[who]],),
            reachable=contacts.reachable[[who]],
            consent=contacts.consent[[who]],
            sends=contacts.sends[[who]],
            recent_sends=contacts.recent_sends[[who]],
            open_complaint=contacts.open_complaint[[who]],
            context=contacts.context[[who]],
            unanswered=contacts.unanswered[[who]],
            rest_days=contacts.rest_days[[who]],
            since=contacts.since[[who]],
            no_ai=contacts.no_ai[[who]],
            budget_left=contacts.budget_left[[who]],
            hazard_90d=contacts.hazard_90d[[who]],
        ),
        proposals=Proposals(
            np.zeros(int(mine.sum()), dtype=np.int64),
            case.proposals.action[mine],
            case.proposals.days_since_same[mine],
            carried=case.proposals.carried[mine],
        ),
    ).decided()
    for name in ("removed_by", "reason", "channel_reason", "slot_allowed", "effect", "cost_cents",
                 "fatigue_cents", "score_cents"):  # fmt: skip
        in_batch = getattr(together.candidates, name)[mine]
        assert in_batch.tobytes() == getattr(alone.candidates, name).tobytes(), name
    for name in ("score_cents", "reason", "held", "group", "lever_cost_cents"):
        assert getattr(together, name)[[who]].tobytes() == getattr(alone, name).tobytes(), name
    assert (together.winner[who] >= 0) == (alone.winner[0] >= 0)
    place = np.flatnonzero(together.chosen == who)
    for name in ("channel", "slot", "selection_probability"):
        in_batch = getattr(together.treatments, name)[place]
        assert in_batch.tobytes() == getattr(alone.treatments, name).tobytes(), name
    assert together.send_at_us[place].tobytes() == alone.send_at_us.tobytes()


def test_a_moment_written_in_another_zone_is_the_same_moment():
    case = random_case(3, TUESDAY_NOON)
    again = replace(case, moment=at(TUESDAY_NOON.astimezone(ZoneInfo("Asia/Kolkata"))))
    assert case.decided().send_at_us.tobytes() == again.decided().send_at_us.tobytes()


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_the_holdout_has_the_share_asked_for_and_is_never_contacted(share):
    n = 4000
    case = Case(
        make_contacts(n), everything(n, 1), action_columns([make_action()]),
        make_policy(holdout_share=share), at(),
    )  # fmt: skip
    decided = case.decided()
    # four standard deviations of a share of 4000
    assert abs(decided.held.mean() - share) <= 4 * np.sqrt(share * (1 - share) / n)
    assert np.array_equal(decided.winner < 0, decided.held)
    assert (decided.reason[decided.held] == Reason.HOLDOUT).all()
    assert (decided.candidates.removed_by[decided.held] == Stage.HOLDOUT).all()


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_keeps_everybody_who_was_held_out(one, other):
    contacts = make_contacts(300)
    small, large = sorted((one, other))
    before = in_holdout(contacts, make_policy(holdout_share=small), "tenant")
    after = in_holdout(contacts, make_policy(holdout_share=large), "tenant")
    assert not (before & ~after).any()
    assert np.array_equal(before, in_holdout(contacts, make_policy(holdout_share=small), "tenant"))


def test_two_tenants_hold_out_different_contacts():
    contacts, policy = make_contacts(300), make_policy(holdout_share=0.5)
    assert not np.array_equal(
        in_holdout(contacts, policy, "one"), in_holdout(contacts, policy, "two")
    )


def one_decision(actions: list[Action], **columns: object) -> Decisions:
    return Case(
        make_contacts(1, **columns), everything(1, len(actions)), action_columns(actions),
        make_policy(), at(),
    ).decided()  # fmt: skip


def test_doing_nothing_wins_when_nothing_is_worth_its_cost():
    worthless = make_action(value_cents=0)
    harmful = make_action("nag", if_contacted=0.1, if_left=0.2)
    decided = one_decision([worthless, harmful])
    assert decided.winner[0] == -1
    assert decided.reason[0] == Reason.NOT_WORTH_IT
    assert decided.score_cents[0] == 0


def test_an_action_worth_exactly_what_it_costs_is_not_done():
    # 0.5 of 2 cents, for 1 cent
    even = make_action(if_contacted=0.5, if_left=0.0, value_cents=2, channels=("email",))
    assert one_decision([even]).winner[0] == -1


def test_nobody_is_called_about_what_is_not_worth_a_call():
    # 0.1 of 30 cents: worth an e-mail at 1 cent and an SMS at 2, not a call at 400
    n = 300
    cheap = action_columns([make_action(value_cents=30)])
    decided = Case(make_contacts(n), everything(n, 1), cheap, make_policy(), at()).decided()
    assert len(decided.chosen) == n
    drawn = {CHANNELS[channel] for channel in decided.treatments.channel}
    assert drawn == {"email", "sms"}
    call = CHANNELS.index("call_task")
    assert (decided.candidates.channel_reason[:, call] == Reason.NOT_WORTH_IT).all()


def test_a_decision_is_worth_what_is_left_after_the_cost_of_its_own_channel():
    n = 300
    actions = action_columns([make_action()])
    decided = Case(make_contacts(n), everything(n, 1), actions, make_policy(), at()).decided()
    gain = 0.1 * 12_000
    for number, who in enumerate(decided.chosen):
        cost = actions.cost_cents[0, decided.treatments.channel[number]]
        assert decided.cost_cents[number] == cost
        assert decided.score_cents[who] == pytest.approx(gain - cost, abs=1e-6)
    assert len(set(decided.cost_cents)) == len(CHANNELS)


def test_a_tie_goes_to_the_higher_priority_then_to_the_action_that_stands_first():
    first, second, urgent = make_action("x"), make_action("y"), make_action("z", priority=1)
    assert one_decision([first, second]).winner[0] == 0
    assert one_decision([first, second, urgent]).winner[0] == 2
    assert one_decision([second, first]).winner[0] == 0


def test_fatigue_makes_the_next_message_dearer():
    fresh = one_decision([make_action()])
    tired = one_decision([make_action()], recent_sends=np.array([2]))
    assert fresh.score_cents[0] - tired.score_cents[0] == 2 * 15.0


def test_a_rule_rests_until_its_cooldown_is_over_to_the_day():
    action = make_action(cooldown_days=30.0)
    for days, rests in ((0.0, True), (29.999999, True), (30.0, False), (np.nan, False)):
        decided = Case(
            make_contacts(),
            Proposals(np.array([0]), np.array([0]), np.array([days]), np.array([False])),
            action_columns([action]),
            make_policy(),
            at(),
        ).decided()
        assert (decided.reason[0] == Reason.COOLDOWN) == rests, days


def test_on_sunday_a_message_for_today_finds_no_legal_slot():
    sunday = datetime(2026, 3, 8, 12, tzinfo=UTC)
    action = action_columns([make_action(send_within_hours=6.0)])
    decided = Case(make_contacts(), everything(1, 1), action, make_policy(), at(sunday)).decided()
    assert decided.reason[0] == Reason.NO_LEGAL_SLOT


def test_minutes_before_the_window_closes_nothing_is_spread_past_it():
    n = 500
    closing = datetime(2026, 3, 10, 17, 50, tzinfo=UTC)
    actions = action_columns([make_action(send_within_hours=1.0)])
    decided = Case(
        make_contacts(n), everything(n, 1), actions, make_policy(), at(closing)
    ).decided()
    closes = (datetime(2026, 3, 10, 18, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    assert len(decided.chosen) == n
    assert (decided.send_at_us < closes).all()
    assert len(np.unique(decided.send_at_us)) > n / 5  # of 600 seconds


@pytest.mark.parametrize(("n", "actions"), [(0, 0), (0, 2), (3, 0)])
def test_an_empty_batch_is_decided_like_any_other(n, actions):
    columns = action_columns([make_action(f"a{k}") for k in range(actions)])
    decided = Case(make_contacts(n), everything(n, actions), columns, make_policy(), at()).decided()
    assert decided.winner.tolist() == [-1] * n
    assert decided.reason.tolist() == [Reason.NO_RULE_APPLIES] * n
    assert decided.score_cents.tolist() == [0.0] * n
    assert len(decided.chosen) == len(decided.send_at_us) == 0


def test_policies_without_caps_cap_nothing():
    decided = Case(
        make_contacts(sends=np.zeros((1, 0), dtype=np.int64)), everything(1, 1),
        action_columns([make_action()]), make_policy(caps=()), at(),
    ).decided()  # fmt: skip
    assert decided.winner[0] == 0


def test_a_contact_key_depends_on_every_part_of_the_id():
    ids = [contact_id(n) for n in range(1000)]
    assert len(np.unique(contact_keys(ids))) == 1000
    assert contact_keys(ids[:3]).tolist() == contact_keys([i.upper() for i in ids[:3]]).tolist()
