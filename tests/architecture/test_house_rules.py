"""What every file has to keep to, whoever writes it."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "hatch"
]["build"]["targets"]["wheel"]["packages"]
WRITTEN = ("*.py", "*.sql", "*.yaml", "*.md", "*.toml", "*.j2", "Makefile")

SHAPELESS = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
# the system's clock is read here and nowhere else
READS_THE_CLOCK = {
    "services/clock.py",  # the product's clock stands on it
    "services/check_health.py",  # compares this machine's with the database's
    "cli/demo_command.py",  # the demo plays on a day of this month
}
# the server's own clock; everything else asks keepwell.clock()
READS_THE_SERVERS_CLOCK = {"store/catalogue.py"}
RANDOM_STATE = {"default_rng", "Generator", "SeedSequence", "BitGenerator", "PCG64", "Philox"}


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def written_files() -> Iterator[Path]:
    for pattern in WRITTEN:
        for path in sorted(ROOT.rglob(pattern)):
            inside = path.relative_to(ROOT)
            if not any(part.startswith(".") or part == "__pycache__" for part in inside.parts):
                yield path


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Each call with its dotted name, e.g. 'datetime.now'."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize(
    ("folders", "most"),
    [((*PACKAGES, "migrations", "benchmarks"), 400), (("tests",), 450)],
)
def test_a_file_stays_short_enough_to_be_read_at_once(folders: tuple[str, ...], most: int) -> None:
    lengths = {
        name_of(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files(*folders)
    }
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > most} == {}


def test_a_module_is_named_after_what_it_is_about() -> None:
    files = python_files(*PACKAGES, "tests", "migrations", "benchmarks")
    assert [name_of(path) for path in files if SHAPELESS & set(path.stem.split("_"))] == []
    folders = {path.parent.name for path in files}
    assert not folders & SHAPELESS


def test_a_package_says_what_it_is_for() -> None:
    silent = [
        name_of(path)
        for path in python_files(*PACKAGES)
        if path.name == "__init__.py"
        and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_the_systems_clock_is_read_in_one_place() -> None:
    forbidden = re.compile(
        r"(datetime\.)?(datetime\.(now|utcnow|today)|date\.today)|time\.(time|time_ns|localtime)"
    )
    found = {
        name_of(path)
        for path in python_files(*PACKAGES)
        for name, _ in calls(path)
        if forbidden.fullmatch(name)
    }
    assert found == READS_THE_CLOCK


def test_queries_ask_the_products_clock() -> None:
    forbidden = re.compile(
        r"\bnow\(\)|\b(CURRENT|LOCAL)_?TIME|\b(clock|statement|transaction)_timestamp\(\)",
        re.IGNORECASE,
    )
    # .now() is a clock handed in; prose and queries say now() with nothing before it
    found = {
        name_of(path)
        for path in python_files("store")
        if any(
            not path.read_text(encoding="utf-8")[: mark.start()].endswith(".")
            for mark in forbidden.finditer(path.read_text(encoding="utf-8"))
        )
    }
    assert found == READS_THE_SERVERS_CLOCK


def test_the_core_knows_no_time_and_no_chance_of_its_own() -> None:
    forbidden = {"time", "random", "secrets", "uuid.uuid1", "uuid.uuid4", "os", "pathlib"}
    found = {name_of(path): imports(path) & forbidden for path in python_files("engine")}
    assert {name: what for name, what in found.items() if what} == {}


def test_chance_has_a_seed() -> None:
    unseeded = []
    for path in python_files(*PACKAGES):
        assert "random" not in imports(path), f"{name_of(path)}: use a seeded Generator"
        for name, call in calls(path):
            of_numpy = re.fullmatch(r"(np|numpy)\.random\.(\w+)", name)
            if name.endswith("default_rng") and not (call.args or call.keywords):
                unseeded.append(f"{name_of(path)}:{call.lineno}")
            if of_numpy and of_numpy[2] not in RANDOM_STATE:
                unseeded.append(f"{name_of(path)}:{call.lineno}")
    assert unseeded == []


def test_nothing_is_left_to_do_in_a_comment() -> None:
    mark = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
    found = [
        f"{name_of(path)}:{number}"
        for path in written_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if mark.search(line)
    ]
    assert found == []


def test_no_file_names_a_folder_of_one_machine() -> None:
    # /home/ann is the example user of tests and pages
    place = re.compile(r"(?<![\w.~/-])/(work|root|Users|home/(?!ann\b)\w+)/")
    found = [
        f"{name_of(path)}:{number}"
        for path in written_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if place.search(line)
    ]
    assert found == []
