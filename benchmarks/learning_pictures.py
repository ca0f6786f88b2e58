"""Draw the pictures of docs/learning.md from the code that chooses.

python -m benchmarks.learning_pictures --into docs/pictures
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bandits.borrowing import borrowed_from
from bandits.delays import prior_curve
from bandits.evidence import Cell, FloatArray, Outcomes, added, tallied
from bandits.fit import DISCOUNTS, Choosing, fitted
from bandits.selection import probabilities
from bandits.state import drawn_noise

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 560, 260, 50, 40, 30
_COLOURS = ("#1b6ca8", "#c0532f", "#3f7d3a", "#7a4b94")
_TODAY = 20_000
_ARMS = ("call", "email", "sms")
_RATES = (0.10, 0.08, 0.16)

Series = dict[str, list[float]]


def chart(title: str, x_label: str, x: Sequence[float], series: Series) -> str:
    """A line chart as SVG text; y runs from 0 to 1."""
    right, bottom = _WIDTH - 120, _HEIGHT - _BOTTOM
    span = max(x) - min(x) or 1.0

    def at(px: float, py: float) -> str:
        across = _LEFT + (px - min(x)) / span * (right - _LEFT)
        return f"{across:.1f},{bottom - py * (bottom - _TOP):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<text x="{_LEFT}" y="18" font-size="14">{title}</text>',
        f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{x_label}</text>',
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bottom - share * (bottom - _TOP)
        parts.append(
            f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share:g}</text>'
        )
    for tick in np.linspace(min(x), max(x), 5):
        across = at(float(tick), 0.0).split(",")[0]
        parts.append(f'<text x="{across}" y="{bottom + 16}" text-anchor="middle">{tick:.0f}</text>')
    for number, (name, values) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = " ".join(at(px, py) for px, py in zip(x, values, strict=True))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{right + 8}" y="{_TOP + 14 + 18 * number}" fill="{colour}">{name}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def learning() -> str:
    """Selection probabilities week by week in a world where SMS brings twice as much."""
    rng = np.random.default_rng(3)
    x = np.array([[1.0, 0.3, 0.5, 0.3]])
    evidence: dict[Cell, FloatArray] = {}
    shares = {name: [1 / 3] for name in _ARMS}
    shown = np.full((1, 3), 1 / 3)
    for week in range(1, 21):
        chosen = rng.choice(3, size=100, p=shown[0] / shown[0].sum())
        reward = (rng.random(100) < np.array(_RATES)[chosen]).astype(np.float64)
        zero = np.zeros(100, dtype=np.int64)
        told = Outcomes({"channel": (_ARMS, chosen)}, np.full(100, _TODAY + 7 * week),
                        np.repeat(x, 100, axis=0), reward, np.full(100, np.nan), zero,
                        zero)  # fmt: skip
        evidence = added(evidence, tallied(told))
        state = fitted(evidence, _TODAY + 7 * week + 30, Choosing())
        shown = probabilities(state, "channel", x, np.ones((1, 3), dtype=np.bool_))
        for name, share in zip(_ARMS, shown[0], strict=True):
            shares[name].append(float(share))
    return chart("P(channel), 100 messages a week; SMS brings 16 %, the others 8 and 10 %",
                 "weeks", list(range(21)), shares)  # fmt: skip


def borrowing() -> str:
    """How a loan from the industry fades beside evidence that says the opposite."""
    lent = borrowed_from([("channel", "email", 4000.0, 400.0), ("channel", "sms", 4000.0, 800.0)])
    x = np.array([[1.0, 0.3, 0.5, 0.3]])
    sizes = list(range(0, 1001, 50))
    shares: Series = {"sms, borrowed": [], "sms, alone": []}
    for n in sizes:
        each = n // 2
        chosen = np.repeat([0, 1], each)
        reward = np.concatenate([_evenly(0.16, each), _evenly(0.10, each)])
        zero = np.zeros(2 * each, dtype=np.int64)
        told = Outcomes({"channel": (("email", "sms"), chosen)}, np.full(2 * each, _TODAY),
                        np.repeat(x, 2 * each, axis=0), reward, np.full(2 * each, np.nan),
                        zero, zero)  # fmt: skip
        for name, loan in (("sms, borrowed", lent), ("sms, alone", {})):
            state = fitted(tallied(told), _TODAY + 31, Choosing(), loan)
            share = 0.5
            if "channel" in state.factors:
                shown = probabilities(state, "channel", x, np.ones((1, 2), dtype=np.bool_))
                share = float(shown[0, state.factors["channel"].arms.index("sms")])
            shares[name].append(share)
    return chart("Elsewhere SMS is twice as good; here e-mail brings 16 %, SMS 10 %",
                 "decisions of its own", sizes, shares)  # fmt: skip


def _evenly(rate: float, n: int) -> np.ndarray:
    """Rewards of 0 and 1 at this rate, as evenly as they can be: a picture without luck."""
    reached = np.floor(rate * np.arange(n + 1) + 0.5)
    return np.diff(reached)


def remembering() -> str:
    """What evidence still counts for as it ages, by discount."""
    days = list(range(0, 121, 5))
    kept = {f"{each:g} a day": [each**day for day in days] for each in DISCOUNTS}
    return chart("What a day's evidence still counts for", "days ago", days, kept)


def arriving() -> str:
    """How much of a reward is expected by a decision's age, before anything is known."""
    curve = [0.0, *prior_curve().tolist()]
    noise = [drawn_noise(0.4, 20.0 * day) for day in range(len(curve))]
    return chart("A young decision counts for what should have been answered", "days",
                 list(range(len(curve))),
                 {"answered": curve, "noise, 20 a day": noise})  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Write the files; the same code gives the same bytes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning_pictures")
    parser.add_argument("--into", type=Path, required=True)
    folder = parser.parse_args(arguments).into
    folder.mkdir(parents=True, exist_ok=True)
    for picture in (learning, borrowing, remembering, arriving):
        path = folder / f"{picture.__name__}.svg"
        path.write_text(picture(), encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
