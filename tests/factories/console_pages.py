"""Pages whose commands are run as written: fenced `console` blocks, and files in blocks of a name.

A block ```console holds lines that start with `$ ` and what each of them printed; `...` stands for
anything. A block ```FILE (for example ```visits.csv) is a file that the reader makes first.
"""

import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = re.compile(r"^```([^\n`]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass
class Step:
    """A command of a page and what the page says that it printed; or a file to make."""

    command: str = ""
    printed: list[str] = field(default_factory=list)
    file: str = ""
    text: str = ""


def steps_of(page: str) -> list[Step]:
    """The files and commands of a page, in its order."""
    steps: list[Step] = []
    for kind, body in _BLOCK.findall(page):
        if kind != "console":
            if "." in kind:
                steps.append(Step(file=kind, text=body))
            continue
        for line in body.splitlines():
            if line.startswith("$ "):
                steps.append(Step(command=line.removeprefix("$ ")))
            elif steps and steps[-1].command.endswith("\\"):
                steps[-1].command = steps[-1].command.removesuffix("\\") + line.strip()
            else:
                steps[-1].printed.append(line)
    return steps


def run_step(step: Step, folder: Path, keepwell: Callable[[list[str]], str]) -> str:
    """Do what a step says; return what it printed."""
    if step.file:
        (folder / step.file).write_text(step.text, encoding="utf-8")
        return ""
    words = shlex.split(step.command)
    if words[0] == "keepwell":
        return keepwell(words[1:])
    done = subprocess.run(
        step.command, shell=True, cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


def says(printed: list[str], output: str) -> bool:
    """Whether the output is what the page prints; spaces at line ends don't count."""
    told = "\n".join(line.rstrip() for line in printed).strip("\n")
    found = "\n".join(line.rstrip() for line in output.splitlines()).strip("\n")
    pattern = ".*?".join(re.escape(part) for part in told.split("..."))
    return re.fullmatch(pattern, found, re.DOTALL) is not None
