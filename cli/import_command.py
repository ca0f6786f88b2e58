"""`keepwell import`: a customer's file into the CRM tables and the event store."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.output import console, errors_told, print_json, progress, run
from services.import_crm import ImportOrder, ImportSummary, import_file
from services.import_mapping import list_mappings, load_mapping
from services.wiring import Runtime

_KINDS = {
    "account": "accounts",
    "contact": "contacts",
    "deal": "deals",
    "activity": "activities",
    "consent": "consents",
}


def import_command(
    file: Annotated[
        Path, typer.Argument(help="CSV (also .csv.gz) or Parquet.", show_default=False)
    ],
    mapping: Annotated[
        str,
        typer.Option(help=f"A mapping file, or one of: {', '.join(list_mappings())}."),
    ],
    tenant: Annotated[str, typer.Option(help="Slug of the tenant; created if there is none.")],
    rejects: Annotated[
        Path | None,
        typer.Option(help="Where rows that stay out are told.  [default: FILE.rejects.csv, here]"),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Read the file although it was imported to its end.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Import a file of contacts, appointments, invoices or events.

    Each row is imported once, however often the command runs; an import that was interrupted
    goes on where it stopped. Rows with faults stay out and are told in the rejects file.
    """
    with errors_told():
        order = ImportOrder(
            file=file,
            mapping=load_mapping(mapping),
            tenant=tenant,
            rejects=rejects or Path(f"{file.name.split('.')[0]}.rejects.csv"),
            again=again,
        )
    with progress(f"Importing {file.name}") as show:

        async def use(runtime: Runtime) -> ImportSummary:
            return await import_file(runtime.database, order, show)

        summary = run(use)
    if as_json:
        print_json(_as_dict(order, summary))
    else:
        _tell(order, summary)


def _as_dict(order: ImportOrder, summary: ImportSummary) -> dict[str, Any]:
    rejects = str(order.rejects) if summary.rows_rejected else None
    return {
        "file": str(order.file),
        "mapping": order.mapping.name,
        "tenant": order.tenant,
        **summary.as_dict(),
        "rejects_file": rejects,
    }


def _tell(order: ImportOrder, summary: ImportSummary) -> None:
    if summary.tenant_created:
        console.print(f"Tenant '{order.tenant}' created.", markup=False)
    if summary.done_before:
        console.print(
            f"{order.file.name} was imported before, to its end, with this mapping: "
            "nothing changed.",
            markup=False,
        )
        console.print("    --again reads it anew; rows that are there stay as they are.")
        return
    if summary.resumed_after_row:
        console.print(f"Went on after row {summary.resumed_after_row:,}.")
    found = summary.as_dict()
    console.print(
        f"{summary.rows_read:,} rows read in {summary.seconds:.1f} s "
        f"({found['rows_per_second']:,} rows/s)"
    )
    for kind, counts in found["counts"].items():
        line = f"    {_KINDS.get(kind, kind)}: {counts['inserted']:,} inserted"
        line += f", {counts['already_there']:,} already there"
        if counts.get("linked_by_email"):
            line += f", {counts['linked_by_email']:,} linked to a contact with the same e-mail"
        console.print(line, markup=False)
    if not any(counts["inserted"] for counts in found["counts"].values()):
        console.print("Everything was there already: nothing changed.")
    if summary.rows_rejected:
        console.print(f"{summary.rows_rejected:,} rows rejected: see {order.rejects}", markup=False)
    else:
        console.print("No row rejected.")
