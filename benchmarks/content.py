"""A message from a template against Jinja2 alone."""

from pathlib import Path

import jinja2

import content
from benchmarks.figures import Figure, Measured, median_seconds
from benchmarks.practice import World
from content.render import render

TEMPLATE, VARIANT, CHANNEL = "healthcare/no-show-rescue", "friendly", "email"
FACTS = {
    "first_name": "Ada",
    "practice_name": "Oak Street Dental",
    "practice_phone": "+1 202 555 0130",
    "last_visit_date": "March 3, 2026",
    "reason": "You missed a visit",
}
MESSAGES = 2_000


def measure(_world: World) -> Measured:
    """Fill one shipped e-mail template again and again."""
    folder = Path(content.__file__).parent / "templates"
    source = (folder / TEMPLATE / f"{VARIANT}.{CHANNEL}.j2").read_text(encoding="utf-8")
    bare = jinja2.Environment(autoescape=False).from_string(source)  # noqa: S701 - plain text

    seconds = median_seconds(
        {
            "ours": lambda: [render(TEMPLATE, VARIANT, CHANNEL, FACTS) for _ in range(MESSAGES)],
            "jinja2": lambda: [bare.render(FACTS) for _ in range(MESSAGES)],
        }
    )
    return Measured(
        (
            Figure(
                area="content",
                name="an e-mail from its template: checked facts, text, HTML, limits",
                value=MESSAGES / seconds["ours"],
                unit="messages/s",
                reference=MESSAGES / seconds["jinja2"],
                against="jinja2 rendering the same file as text",
            ),
        )
    )
