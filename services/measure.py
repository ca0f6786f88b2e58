"""Run the engine, a manual calendar, chance, nothing and full knowledge side by side.

Every strategy starts from the same simulated business after the same history under the calendar,
and meets the same chances on the same days; a difference is what the strategy did. An industry is
measured over several seeds: other people, other luck.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from services.measured_engine import Engine, Levers
from simulate.business import Business, Cut
from simulate.calendars import Calendar, Chance, Nothing, Oracle, Strategy
from simulate.outcome import Tally, figures

Figures = Mapping[str, float]
# Called after each business with (done, all).
Tell = Callable[[int, int], None]

MAIN = ("engine", "calendar", "random", "nothing", "oracle")
# One lever after the other; each step keeps what stands before it.
LADDER: Mapping[str, Levers] = {
    "rules, by e-mail": Levers(channels=("email",), learns=frozenset(), health=False),
    "+ text messages": Levers(channels=("email", "sms"), learns=frozenset(), health=False),
    "+ learnt channel": Levers(
        channels=("email", "sms"), learns=frozenset({"channel"}), health=False
    ),
    "+ learnt time": Levers(
        channels=("email", "sms"), learns=frozenset({"channel", "slot"}), health=False
    ),
    "+ learnt wording": Levers(channels=("email", "sms"), health=False),
    "+ calls by staff": Levers(health=False),
}


@dataclass(frozen=True, slots=True)
class MeasureOrder:
    """What to measure.

    Attributes:
        industries: of `simulate.assumptions.INDUSTRIES`.
        contacts: of each business, those who have left before included.
        months: measured, of 30 days; before them lie two years under the calendar.
        seeds: one business each.
        strategies: names of MAIN and of LADDER.
        processes: at once.
    """

    industries: tuple[str, ...]
    contacts: int = 800
    months: int = 12
    seeds: tuple[int, ...] = tuple(range(1, 21))
    strategies: tuple[str, ...] = MAIN
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Run:
    """What one strategy came to in one business.

    Attributes:
        figures: as `simulate.outcome.figures`.
        health: who estimated it for the engine: model or scorecard; '' for others.
    """

    industry: str
    seed: int
    strategy: str
    figures: Figures
    health: str = ""


def measure(order: MeasureOrder, tell: Tell | None = None) -> list[Run]:
    """Run everything that is ordered, seed by seed."""
    jobs = [(industry, seed) for seed in order.seeds for industry in order.industries]
    found: list[Run] = []
    for done, runs in enumerate(_mapped(order, jobs), 1):
        found.extend(runs)
        if tell is not None:
            tell(done, len(jobs))
    return found


def _mapped(order: MeasureOrder, jobs: Sequence[tuple[str, int]]) -> Iterator[list[Run]]:
    if order.processes == 1:
        yield from (_business(order, industry, seed) for industry, seed in jobs)
        return
    with _pool(order.processes) as pool:
        yield from pool.map(_business, [order] * len(jobs), *zip(*jobs, strict=True))


def _pool(processes: int) -> Executor:
    # polars holds threads that a fork would copy in the middle of their work
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"))


def _business(order: MeasureOrder, industry: str, seed: int) -> list[Run]:
    """One business, lived through once per strategy."""
    cut = Cut(industry, order.contacts, seed)
    first = Business(cut)
    before = Calendar()
    for _ in range(cut.history_days):
        first.live(before.messages(first))
    runs: list[Run] = []
    usual = 0.0
    # the calendar first: chance writes as often as it does
    for name in sorted(order.strategies, key=lambda name: name != "calendar"):
        run = _lived(name, copy.deepcopy(first), order.months * 30, usual)
        usual = run.figures["sends"] if name == "calendar" else usual
        runs.append(run)
    return sorted(runs, key=lambda run: order.strategies.index(run.strategy))


def _lived(name: str, business: Business, days: int, a_year: float) -> Run:
    strategy = _strategy(name, business, a_year)
    tally = Tally.begun(business)
    for _ in range(days):
        answers = business.live(strategy.messages(business))
        tally.add(answers)
        strategy.learn(business, answers)
    health = strategy.tier if isinstance(strategy, Engine) else ""
    return Run(business.cut.industry, business.cut.seed, name, figures(business, tally), health)


def _strategy(name: str, business: Business, a_year: float) -> Strategy:
    if name in LADDER:
        return Engine(business, LADDER[name])
    made: Mapping[str, Callable[[], Strategy]] = {
        "engine": lambda: Engine(business),
        "calendar": Calendar,
        "random": lambda: Chance(a_year or 12.0, business.cut.seed),
        "nothing": Nothing,
        "oracle": Oracle,
    }
    return made[name]()
