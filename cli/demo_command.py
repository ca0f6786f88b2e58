"""`keepwell demo`: a synthetic practice through every stage, and what came out."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.options import AsJson, Document
from cli.output import complaints, console, print_json, run
from cli.trace_lines import trace_lines
from services.run_demo import STAGES, DemoResult, demo_moment, run_demo
from services.settings import Settings
from services.wiring import Runtime

FIRST = 10


def demo_command(
    as_json: AsJson = False,
    decisions: Annotated[int, typer.Option(min=1, help="How many decisions to show.")] = FIRST,
) -> None:
    """Make up a practice, import it, score, decide, deliver to a local mailbox, and show it all.

    Nobody in it exists, and nothing leaves this machine.
    """
    began = time.monotonic()
    settings = Settings(clock=demo_moment(datetime.now(UTC)))
    if complaints.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        progress = Progress(*columns, console=complaints)
        task = progress.add_task("Starting PostgreSQL and Valkey", total=None)
        lines: list[str] = []
        with Live(progress, console=complaints, transient=True) as live:

            def tell(stage: str, told: str) -> None:
                lines.append(f"[green]✓[/green] {stage:<10} {told}")
                live.update(Group(*lines, progress))
                progress.update(task, description=_after(stage))

            result = run(lambda runtime: _run(runtime, tell), settings)
        for line in lines:
            complaints.print(line)
    else:
        result = run(lambda runtime: _run(runtime, _plain), settings)
    if as_json:
        print_json(_document(result, decisions))
        return
    _show(result, decisions)
    console.print(f"\n{time.monotonic() - began:.0f} seconds. Next: 'make serve' on the same data.")


def _after(stage: str) -> str:
    """The stage that runs now, told by the one that ended."""
    following = STAGES[STAGES.index(stage) + 1 :]
    return following[0] if following else "Done"


def _plain(stage: str, told: str) -> None:
    complaints.print(f"{stage}: {told}", markup=False)


async def _run(runtime: Runtime, tell: object) -> DemoResult:
    assert callable(tell)  # noqa: S101 - both callers pass a function
    return await run_demo(runtime, tell)


def _show(result: DemoResult, decisions: int) -> None:
    moment = f"{result.as_of:%A %Y-%m-%d %H:%M} UTC"
    console.print(f"\n[bold]Who may leave[/bold] (synthetic practice '{result.slug}', {moment})")
    at_risk = Table("patient", "health", "P(left in 90 days)", "why", box=None)
    for row in result.at_risk:
        why = "; ".join(factor["text"] for factor in (row["risk_factors"] or [])[:2])
        name = result.names.get(row["contact_id"], row["contact_id"])
        at_risk.add_row(name, str(row["overall_health_score"]), f"{row['hazard_90d']:.0%}", why)
    console.print(at_risk)

    console.print(f"\n[bold]The best action for the first {decisions}[/bold]")
    best = Table("patient", "action", "about", "by", "when (UTC)", "worth", "chance", box=None)
    for d in [d for d in result.decisions if d["action"]][:decisions]:
        best.add_row(
            result.names.get(d["contact_id"], d["contact_id"]),
            d["action"],
            d["subject"].partition(":")[0],
            f"{d['channel']}, {d['variant']}",
            f"{datetime.fromisoformat(d['send_at']):%a %H:%M}",
            f"{d['score_cents'] / 100:.2f}",
            f"{d['selection_probability']:.2f}",
        )
    console.print(best)

    traced = _most_interesting(result.decisions)
    if traced is not None:
        console.print("\n[bold]One decision, traced[/bold]")
        for line in trace_lines(traced):
            console.print(line, markup=False)
    if result.letters:
        letter = result.letters[0]
        headers = "\n".join(
            f"{name}: {letter.letter[name]}"
            for name in ("From", "To", "Subject", "Message-ID", "List-Unsubscribe-Post")
        )
        console.print("\n[bold]One delivered e-mail[/bold]")
        panel = Panel(f"{headers}\n\n{letter.text.strip()}", expand=False)
        # lines that are too long for the terminal go on below instead of being cut
        console.print(panel, markup=False, soft_wrap=False)


def _most_interesting(decisions: list[Document]) -> Document | None:
    """The decision with an action that had the most to choose from."""
    acted = [d for d in decisions if d["action"]]
    return max(acted, key=lambda d: (len(d["candidates"]), d["score_cents"]), default=None)


def _document(result: DemoResult, decisions: int) -> Document:
    return {
        "tenant": result.slug,
        "as_of": result.as_of.isoformat(),
        "synthetic": True,
        "health": result.health,
        "at_risk": result.at_risk,
        "decisions": result.decisions[:decisions],
        "e_mails": [letter.text for letter in result.letters[:1]],
        "e_mails_delivered": len(result.letters),
    }
