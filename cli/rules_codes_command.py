"""`keepwell rules explain-code`: what the code of a finding means."""

from typing import Annotated

import typer

from cli.options import AsJson
from cli.output import console, errors_told, print_json
from engine.errors import NotFound
from rules.codes import CODES
from rules.findings import suggestion


def explain_code_command(
    code: Annotated[str, typer.Argument(help="A code of a finding, for example E102.")],
    as_json: AsJson = False,
) -> None:
    """Say what a finding's code means, with a wrong and a right example."""
    with errors_told():
        name = code.upper()
        if name not in CODES:
            raise NotFound(f"There is no code '{code}'.", hint=suggestion(name, CODES))
    known = CODES[name]
    if as_json:
        print_json({"code": name, "title": known.title, "wrong": known.wrong, "right": known.right})
        return
    console.print(f"{name}: {known.title}", markup=False)
    for head, example in (("wrong", known.wrong), ("right", known.right)):
        lines = "\n".join(f"    {line}" for line in example.rstrip("\n").split("\n"))
        console.print(f"\n{head}:\n{lines}", markup=False)
