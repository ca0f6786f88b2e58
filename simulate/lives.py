"""A day in the lives of the people: booking, coming, being disappointed, leaving."""

import numpy as np

from engine.columns import Bools, Floats, Ints
from simulate.assumptions import Assumptions
from simulate.messages import About, Answers
from simulate.people import YEAR_DAYS, People
from simulate.reading import REMINDER_DAYS
from simulate.record import MINUTES, Record
from simulate.state import NEVER, Left, State

_DESK_OPENS, _DESK_HOURS = 14 * 60, 7 * 60  # UTC: 9 to 16 o'clock in New York
_REBOOKS_WITHIN = (4, 25)
_FULL_DAYS_TRIED = 60
# text reminders: 67.8 -> 78.6 % attendance (Gurol-Urganci and others, Cochrane Database of
# Systematic Reviews 2013, CD007458): a third of the missed ones
_REMINDED = 0.66


class Lives:
    """Changes the state by one day at a time and records what happens.

    Args: as in `business.Business`.
    """

    def __init__(self, known: Assumptions, people: People, state: State, record: Record) -> None:
        self._known, self._people, self._state, self._record = known, people, state, record
        self._business = known.business
        self._today = 0
        self._bookings = 0
        self._taken: dict[int, int] = {}
        daily = len(people) / self._business["rhythm"]["median_days"]
        self._capacity = max(2, int(np.ceil(daily * self._business["capacity"] * 7 / 5)))

    def begin(self, today: int) -> None:
        """Begin a day: new customers come in."""
        self._today = today
        joined = self._people.joins == today if today else self._people.joins <= 0
        self._state.here |= joined
        first = joined & (self._people.joins >= 0)
        self._state.due[first] = today
        with_contract = np.flatnonzero(joined & (self._state.contract_end != NEVER))
        if len(with_contract):
            since = self._state.contract_end[with_contract] - int(YEAR_DAYS)
            self._record.add(
                "contract.started", with_contract, since * MINUTES + _DESK_OPENS,
                amount=self._contract_cents(with_contract), about=("contract", with_contract),
            )  # fmt: skip

    def comfort(self, answers: Answers) -> None:
        """Let a message of care do its work."""
        state, who = self._state, answers.messages.contact
        cared = answers.read & (answers.messages.about == About.CARE)
        state.warm_until[who[cared]] = self._today + self._business["warmth"]["days"]
        forgiven = who[answers.soothed]
        self._resolve(forgiven)
        asked = answers.read & (answers.messages.about == About.RENEWAL) & answers.relevant
        np.add.at(state.asked, who[asked], 1)
        reminded = answers.read & (answers.messages.about == About.REMINDER)
        state.reminded[who[reminded]] = self._today

    def live(self, rng: np.random.Generator, answers: Answers) -> None:
        """Live through the day, after its messages have been read."""
        n = len(self._people)
        drawn = [rng.random(n, dtype=np.float32).astype(np.float64) for _ in range(10)]
        self._book(drawn[0], drawn[1], answers)
        self._come(drawn[2], drawn[3], drawn[4])
        self._break_down(drawn[5])
        self._complain(drawn[6])
        if self._known.contract is not None:
            self._renew(drawn[7])
        self._leave(drawn[8], drawn[9])

    def _minute(self, drawn: Floats) -> Ints:
        return np.asarray(self._today * MINUTES + _DESK_OPENS + (drawn * _DESK_HOURS).astype(int))

    def _book(self, chance: Floats, when: Floats, answers: Answers) -> None:
        state, unasked = self._state, self._business["unasked"]
        month = (self._today // 30) % 12
        overdue = np.maximum(self._today - state.due, 0.0)
        fades = 0.5 ** (overdue / unasked["halves_in_days"])
        hazard = unasked["per_day"] * fades * self._business["season"][month]
        hazard = hazard * np.where(state.aggrieved, 0.4, 1.0)
        free = state.here & (state.booked == NEVER)
        self_booked = free & (state.due <= self._today) & (chance < hazard)
        self_booked |= free & (state.last_visit == NEVER) & (state.due <= self._today)
        by_message = np.zeros(len(free), dtype=np.bool_)
        by_message[answers.messages.contact[answers.booked]] = True
        self._appoint(np.flatnonzero(self_booked | (by_message & free)), when)

    def _appoint(self, who: Ints, when: Floats, wanted: Ints | None = None) -> None:
        """Enter appointments, on the first day with a free place."""
        if not len(who):
            return
        low, high = self._business["lead_days"]
        if wanted is None:
            wanted = self._today + low + (when[who] * (high - low + 1)).astype(np.int64)
        days = self._places(wanted)
        numbers = self._bookings + np.arange(len(who))
        self._bookings += len(who)
        self._state.booked[who], self._state.booking[who] = days, numbers
        minute = self._minute(when[who])
        starts = days * MINUTES + _DESK_OPENS + (when[who] * 26).astype(np.int64) * 15
        if self._known.industry == "professional_services":
            self._record.add("meeting.held", who, minute)
        else:
            self._record.add(
                "appointment.booked", who, minute, about=("appointment", numbers), starts=starts
            )

    def _places(self, wanted: Ints) -> Ints:
        """The first working day with room from the wanted one on, in order of asking."""
        days = np.array(wanted)
        for position, day in enumerate(days.tolist()):
            for later in range(day, day + _FULL_DAYS_TRIED):
                # day 0 is a Sunday
                if later % 7 in {0, 6} or self._taken.get(later, 0) >= self._capacity:
                    continue
                self._taken[later] = self._taken.get(later, 0) + 1
                days[position] = later
                break
        return days

    def _come(self, shows: Floats, goes_well: Floats, next_time: Floats) -> None:
        state, business = self._state, self._business
        if self._today % 7 == 0:
            self._taken = {d: c for d, c in self._taken.items() if d >= self._today}
        today = np.flatnonzero(state.here & (state.booked == self._today))
        if not len(today):
            return
        number = state.booking[today]
        reminded = self._today - state.reminded[today] <= REMINDER_DAYS
        # what would have been missed is kept instead, so the draw for it stands apart
        missed = shows[today] < business["no_show"] * np.where(reminded, _REMINDED, 1.0)
        off = shows[today] > 1.0 - business["cancels"]
        state.booked[today] = NEVER
        minute = self._minute(goes_well[today])
        for name, rows in (("appointment.no_show", missed), ("appointment.cancelled", off)):
            about = ("appointment", number[rows])
            self._record.add(name, today[rows], minute[rows], about=about)
        not_come = today[missed | off]
        again = not_come[next_time[not_come] < business["rebooks"]]
        low, high = _REBOOKS_WITHIN
        later = self._today + low + (goes_well[again] * (high - low)).astype(np.int64)
        self._appoint(again, goes_well, later)
        came = ~(missed | off)
        self._served(today[came], number[came], minute[came], goes_well, next_time)

    def _served(
        self, who: Ints, number: Ints, minute: Ints, goes_well: Floats, next_time: Floats
    ) -> None:
        """What a visit brings: money, the next due date, sometimes a grievance."""
        state, people, business = self._state, self._people, self._business
        price = business["visit"]["value_usd"] * 100.0 * people.value[who]
        self._record_visit(who, number, minute, price)
        state.earned_cents[who] += price * business["visit"]["margin"]
        state.visits[who] += 1
        state.used[who] += 1
        state.last_visit[who] = self._today
        noise = business["rhythm"]["own_noise"] * (next_time[who] - 0.5) * 3.46  # uniform, sd 1
        state.due[who] = self._today + people.rhythm_days[who] * (1.0 + noise)
        bad = goes_well[who] < business["grievance"]["per_visit"]
        voiced = goes_well[who] < (
            business["grievance"]["per_visit"] * business["grievance"]["voiced"]
        )
        state.aggrieved[who[bad]] = True
        state.voiced[who[voiced]] = True
        self._record.add(
            "complaint.opened", who[voiced], minute[voiced] + MINUTES,
            about=("complaint", number[voiced]),
        )  # fmt: skip
        content = who[people.plans_ahead[who] & ~bad]
        self._appoint(content, next_time, np.ceil(state.due[content]).astype(np.int64))

    def _record_visit(self, who: Ints, number: Ints, minute: Ints, price: Floats) -> None:
        if self._known.industry == "professional_services":
            self._record.add("milestone.completed", who, minute)
            self._record.add("invoice.issued", who, minute + 60, amount=price)
            return
        about = ("appointment", number)
        self._record.add("appointment.kept", who, minute, amount=price, about=about)
        if self._known.industry == "healthcare":
            self._record.add("hygiene.done", who, minute)

    def _break_down(self, chance: Floats) -> None:
        """What comes between: pain, a burst pipe; who is a customer calls the one they know."""
        unplanned = self._business["unplanned"]
        hazard = unplanned["per_year"] / YEAR_DAYS
        who = np.flatnonzero(self._state.here & (chance < hazard))
        price = unplanned["value_usd"] * 100.0 * self._people.value[who]
        self._state.earned_cents[who] += price * self._business["visit"]["margin"]
        minute = self._minute(chance[who] / max(hazard, 1e-9))
        self._record.add("job.completed", who, minute, amount=price)

    def _complain(self, chance: Floats) -> None:
        """Grievances heal, and the business answers some complaints by itself."""
        state, grievance = self._state, self._business["grievance"]
        answered = self._business["answered_by_itself"] / 7.0
        hazard = grievance["heals_per_day"] + np.where(state.voiced, answered / 4.0, 0.0)
        self._resolve(np.flatnonzero(state.here & state.aggrieved & (chance < hazard)))

    def _resolve(self, who: Ints) -> None:
        state = self._state
        told = who[state.voiced[who]]
        minute = np.full(len(told), self._today * MINUTES + _DESK_OPENS + _DESK_HOURS)
        self._record.add("complaint.resolved", told, minute, about=("complaint", told))
        state.aggrieved[who] = False
        state.voiced[who] = False

    def _contract_cents(self, who: Ints) -> Floats:
        contract = self._known.contract
        assert contract is not None  # noqa: S101 - nobody has one otherwise
        return np.full(len(who), contract["value_usd"] * 100.0)

    def _renew(self, chance: Floats) -> None:
        """At its end a contract is renewed, or not; who doesn't may be won back within a month."""
        state, contract = self._state, self._known.contract
        assert contract is not None  # noqa: S101 - asked before
        ending = np.flatnonzero(state.here & (state.contract_end == self._today))
        logit = np.log(contract["renews"] / (1.0 - contract["renews"]))
        score = logit + np.select(
            [state.asked[ending] >= 2, state.asked[ending] == 1],
            [contract["if_asked"] + contract["if_asked_twice"], contract["if_asked"]],
            0.0,
        )
        score = score + np.where(state.used[ending] == 0, contract["if_unused"], 0.0)
        score = score + np.where(state.aggrieved[ending], contract["if_aggrieved"], 0.0)
        stays = chance[ending] < 1.0 / (1.0 + np.exp(-score))
        self._renewed(ending[stays], self._today)
        lapsed = ending[~stays]
        self._record.add(
            "contract.ended", lapsed, self._minute(chance[lapsed]), about=("contract", lapsed)
        )
        state.asked[lapsed] = 0
        self._after_the_end(chance, contract["lapsed_returns"])

    def _after_the_end(self, chance: Floats, returns: float) -> None:
        state = self._state
        since = self._today - state.contract_end
        open_end = state.here & (state.contract_end != NEVER) & (since > 0)
        asked = np.flatnonzero(open_end & (state.asked > 0))
        back = asked[chance[asked] < returns]
        state.asked[asked] = 0
        self._renewed(back, self._today)
        gone = np.flatnonzero(open_end & (since >= 30) & (state.contract_end < self._today))
        self._depart(gone, Left.NOT_RENEWED)

    def _renewed(self, who: Ints, day: int) -> None:
        state, margin = self._state, self._business["visit"]["margin"]
        state.contract_end[who] = day + int(YEAR_DAYS)
        state.asked[who], state.used[who] = 0, 0
        state.earned_cents[who] += self._contract_cents(who) * margin
        minute = np.full(len(who), day * MINUTES + _DESK_OPENS)
        self._record.add(
            "contract.renewed", who, minute, amount=self._contract_cents(who),
            about=("contract", who),
        )  # fmt: skip

    def _leave(self, moves: Floats, drifts: Floats) -> None:
        state, business = self._state, self._business
        moved = state.here & (moves < self._people.moves_per_day)
        hurt = business["grievance"]["leaves_per_day"]
        angry = state.here & state.aggrieved & ~moved & (moves > 1.0 - hurt)
        drift = business["drift"]
        overdue = self._today - state.due
        span = drift["full_at_days"] - drift["from_days"]
        share = np.clip((overdue - drift["from_days"]) / span, 0.0, 1.0)
        warm = np.where(state.warm_until >= self._today, business["warmth"]["factor"], 1.0)
        away: Bools = state.here & (state.booked == NEVER) & ~moved & ~angry
        away &= drifts < drift["per_day"] * share * warm
        for who, why in ((moved, Left.MOVED), (angry, Left.AGGRIEVED), (away, Left.DRIFTED)):
            self._depart(np.flatnonzero(who), why)

    def _depart(self, who: Ints, why: Left) -> None:
        state = self._state
        state.here[who] = False
        state.left_day[who], state.why[who] = self._today, int(why)
        state.booked[who] = NEVER
