"""The calibration report as one HTML page: no script, no style or picture from elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from churn.metrics import Scores
from churn.reliability import Point

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1b1f24}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem}
table{border-collapse:collapse;margin:.6rem 0}td,th{padding:.2rem .8rem;text-align:right;
border-bottom:1px solid #d8dde3}td:first-child,th:first-child{text-align:left}
svg{max-width:100%;height:auto}.note{color:#57606a}.bad{color:#b42318;font-weight:600}
"""
_WIDTH, _HEIGHT, _LEFT, _TOP = 720, 300, 48, 16
_INNER_WIDTH, _INNER_HEIGHT = _WIDTH - _LEFT - 16, _HEIGHT - _TOP - 44


@dataclass(frozen=True, slots=True)
class Report:
    """What the page shows.

    Attributes:
        tenant: its name.
        made_at: ISO 8601.
        scorer: which model, or the scorecard and why.
        scores: of windows the model has not seen, by horizon in days.
        tenths, segments, months: by horizon in days.
        alerts: of the newest look at drift.
    """

    tenant: str
    made_at: str
    scorer: str
    scores: Mapping[int, Scores]
    tenths: Mapping[int, Sequence[Point]]
    segments: Mapping[int, Sequence[Point]]
    months: Mapping[int, Sequence[Point]]
    alerts: Sequence[str]


def report_page(report: Report) -> str:
    """The page as text; every name in it is escaped."""
    parts = [
        f"<h1>Who leaves: predicted and observed, {escape(report.tenant)}</h1>",
        f'<p class="note">Made {escape(report.made_at)} by {escape(report.scorer)}. '
        "A contact counts as gone when it has been silent for longer than its own rhythm allows. "
        "Of each month only contacts that had not left are asked about.</p>",
        _alerts(report.alerts),
        _scores(report.scores),
    ]
    for days, points in report.tenths.items():
        parts += [
            f"<h2>By tenth of the predictions, {days} days</h2>",
            "<p>Contacts ordered by predicted risk and cut into ten groups of one size. The bar is "
            "what was predicted, the dot what happened; the line is where the dot lies in 99 of "
            "100 cases if the predictions are right.</p>",
            _plot(points, f"Predicted and observed by tenth, {days} days"),
            _table(points, "tenth"),
        ]
    for title, groups, head in (
        ("By visits so far", report.segments, "segment"),
        ("By month of the prediction", report.months, "month"),
    ):
        for days, points in groups.items():
            parts += [
                f"<h2>{title}, {days} days</h2>",
                _plot(points, f"{title}, {days} days"),
                _table(points, head),
            ]
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Churn report {escape(report.tenant)}</title><style>{_STYLE}</style></head>"
        f"<body>\n{body}\n</body></html>\n"
    )


def _alerts(alerts: Sequence[str]) -> str:
    if not alerts:
        return ""
    listed = "".join(f"<li>{escape(each)}</li>" for each in alerts)
    return f'<h2 class="bad">Look at this</h2><ul>{listed}</ul>'


def _scores(scores: Mapping[int, Scores]) -> str:
    if not scores:
        return "<p>No window has closed that the model has not learnt from.</p>"
    rows = "".join(
        f"<tr><td>{days} days</td><td>{found.n:,}</td><td>{found.base_rate:.1%}</td>"
        f"<td>{'-' if found.auc is None else format(found.auc, '.3f')}</td>"
        f"<td>{found.log_loss:.3f}</td><td>{found.brier:.3f}</td><td>{found.ece:.3f}</td>"
        f"<td>{found.accuracy:.1%}</td><td>{found.majority_accuracy:.1%}</td></tr>"
        for days, found in scores.items()
    )
    return (
        "<h2>How good the predictions were on windows the model has not seen</h2>"
        "<table><tr><th>within</th><th>contacts</th><th>left</th><th>AUC</th><th>log loss</th>"
        "<th>Brier</th><th>ECE</th><th>accuracy</th><th>of always saying the same</th></tr>"
        f"{rows}</table>"
    )


def _table(points: Sequence[Point], head: str) -> str:
    rows = "".join(
        f"<tr><td>{escape(point.name)}</td><td>{point.n:,}</td><td>{point.predicted:.1%}</td>"
        f'<td class="{"" if _fits(point) else "bad"}">{point.observed:.1%}</td>'
        f"<td>{point.low:.1%} to {point.high:.1%}</td>"
        f"<td>{'learnt from' if point.learnt_from else 'not seen'}</td></tr>"
        for point in points
    )
    return (
        f"<table><tr><th>{head}</th><th>contacts</th><th>predicted</th><th>observed</th>"
        f"<th>expected range</th><th></th></tr>{rows}</table>"
    )


def _fits(point: Point) -> bool:
    return point.low <= point.observed <= point.high


def _plot(points: Sequence[Point], title: str) -> str:
    """Bars of predictions with dots of what happened; months learnt from are pale."""
    if not points:
        return "<p>Nothing has closed yet.</p>"
    top = max(max(p.predicted, p.observed, p.high) for p in points) or 1.0
    step = _INNER_WIDTH / len(points)
    marks = [_axis(top)]
    for place, point in enumerate(points):
        x = _LEFT + step * place
        middle = x + step / 2
        opacity = "0.35" if point.learnt_from else "1"
        colour = "#1f6feb" if _fits(point) else "#b42318"
        marks += [
            f'<rect x="{x + step * 0.15:.1f}" y="{_y(point.predicted, top):.1f}" '
            f'width="{step * 0.7:.1f}" height="{_y(0, top) - _y(point.predicted, top):.1f}" '
            f'fill="#c8d6e5" opacity="{opacity}"/>',
            f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{_y(point.low, top):.1f}" '
            f'y2="{_y(point.high, top):.1f}" stroke="#57606a" opacity="{opacity}"/>',
            f'<circle cx="{middle:.1f}" cy="{_y(point.observed, top):.1f}" r="4" '
            f'fill="{colour}" opacity="{opacity}"/>',
            f'<text x="{middle:.1f}" y="{_HEIGHT - 18}" font-size="11" text-anchor="middle">'
            f"{escape(point.name)}</text>",
        ]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(marks)}</svg>'
    )


def _axis(top: float) -> str:
    lines = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(top * share, top)
        lines.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - 16}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e6eaef"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" font-size="11" text-anchor="end">'
            f"{top * share:.0%}</text>"
        )
    return "".join(lines)


def _y(value: float, top: float) -> float:
    return _TOP + _INNER_HEIGHT * (1 - value / top)
