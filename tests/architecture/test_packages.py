"""The packages on disk, in the wheel and under the import contracts are the same, and ours."""

import importlib.metadata
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WHEEL = set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
CONTRACTS: Sequence[dict[str, Any]] = PROJECT["tool"]["importlinter"]["contracts"]
NOT_SHIPPED = {"benchmarks", "migrations", "tests"}


def contract(name: str) -> dict[str, Any]:
    return next(each for each in CONTRACTS if each["name"] == name)


def test_every_package_on_disk_is_in_the_wheel() -> None:
    on_disk = {
        path.parent.name
        for path in ROOT.glob("*/__init__.py")
        if path.parent.name not in NOT_SHIPPED
    }
    assert on_disk == WHEEL


def test_every_package_is_under_the_import_contracts() -> None:
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == WHEEL
    layers = contract("Imports run one way")["layers"]
    assert {name.strip() for layer in layers for name in layer.split("|")} == WHEEL
    assert set(contract("No cycles inside a package")["ancestors"]) == WHEEL
    assert set(PROJECT["tool"]["mypy"]["packages"]) - NOT_SHIPPED == WHEEL


def test_a_library_with_one_owner_is_forbidden_to_all_the_others() -> None:
    owned = [each for each in CONTRACTS if each["name"].endswith(" alone")]
    assert len(owned) >= 6
    for each in owned:
        owner = each["name"].removesuffix(" alone").rpartition(" to ")[2].partition(".")[0]
        assert owner in WHEEL, each["name"]
        listed = set(each["source_modules"])
        assert listed == WHEEL - {owner} or each["name"].startswith("durable-rules"), each["name"]
        assert listed >= WHEEL - {owner, "rules"}, each["name"]


def test_no_other_distribution_owns_a_name_of_ours() -> None:
    owners = importlib.metadata.packages_distributions()
    taken = {name: owners[name] for name in WHEEL | NOT_SHIPPED if name in owners}
    assert {name: who for name, who in taken.items() if set(who) != {"keepwell"}} == {}


def test_a_module_is_found_where_it_lies() -> None:
    for name in sorted(WHEEL):
        module = importlib.import_module(name)
        assert module.__file__ is not None
        assert Path(module.__file__).parent == ROOT / name
