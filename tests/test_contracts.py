"""The import contracts in pyproject.toml: each one holds, and each one fails when a forbidden import is added.

The imports of the package are read once. A forbidden import is then added to a copy of that graph.
"""

from __future__ import annotations

import re
import tomllib
from copy import deepcopy
from itertools import combinations
from pathlib import Path
from typing import Any

import grimp
import pytest
from importlinter.configuration import configure
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract
from importlinter.domain.contract import Contract

ROOT = Path(__file__).parents[1]
OPTIONS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
CLASSES: dict[str, type[Contract]] = {"layers": LayersContract, "forbidden": ForbiddenContract}
CONTRACTS = {contract["name"]: contract for contract in OPTIONS["contracts"]}
FORBIDDEN = {name: contract for name, contract in CONTRACTS.items() if contract["type"] == "forbidden"}
LAYERS = [re.split(r" [|:] ", layer) for layer in CONTRACTS["Layers"]["layers"]]


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    configure()  # contracts use the timer that it sets
    return grimp.build_graph(
        OPTIONS["root_package"],
        include_external_packages=OPTIONS["include_external_packages"],
        exclude_type_checking_imports=OPTIONS["exclude_type_checking_imports"],
        cache_dir=None,
    )


def holds(name: str, imports: grimp.ImportGraph, *added: tuple[str, str]) -> bool:
    """Check a contract, with further imports given as importer and imported module."""
    graph = deepcopy(imports)
    for importer, imported in added:
        graph.add_import(importer=importer, imported=imported)
    contract = CONTRACTS[name]
    session = {"root_packages": [OPTIONS["root_package"]], **OPTIONS}
    options = {key: str(value) if isinstance(value, bool) else value for key, value in contract.items()}
    kept: bool = CLASSES[contract["type"]](name, session, options).check(graph, verbose=False).kept
    return kept


def module_in(imports: grimp.ImportGraph, package: str) -> str:
    """A module below a package, or the package itself if it has none: contracts must cover both."""
    return max(imports.find_descendants(package), default=package)


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_holds(imports: grimp.ImportGraph, name: str) -> None:
    assert holds(name, imports)


def test_a_layer_must_not_import_a_higher_one(imports: grimp.ImportGraph) -> None:
    for higher, lower in combinations(LAYERS, 2):
        importer, imported = (module_in(imports, f"regionplot.{layer[-1]}") for layer in (lower, higher))
        assert not holds("Layers", imports, (importer, imported)), f"{importer} may import {imported}"


def test_packages_of_one_layer_must_not_import_each_other(imports: grimp.ImportGraph) -> None:
    siblings = [pair for layer in LAYERS for pair in combinations(layer, 2)]
    assert siblings
    for pair in siblings:
        importer, imported = (module_in(imports, f"regionplot.{name}") for name in pair)
        assert not holds("Layers", imports, (importer, imported)), f"{importer} may import {imported}"


def test_each_new_module_needs_a_layer(imports: grimp.ImportGraph) -> None:
    graph = deepcopy(imports)
    graph.add_module("regionplot.newcomer")
    assert not holds("Layers", graph)


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_forbidden_import_is_found_in_each_package(imports: grimp.ImportGraph, name: str) -> None:
    for package in FORBIDDEN[name]["source_modules"]:
        for imported in FORBIDDEN[name]["forbidden_modules"]:
            importer = module_in(imports, package)
            assert not holds(name, imports, (importer, imported)), f"{importer} may import {imported}"


@pytest.mark.parametrize("name", [name for name in FORBIDDEN if " only in " in name])
def test_a_contract_covers_all_packages_but_those_in_its_name(imports: grimp.ImportGraph, name: str) -> None:
    """A new package is easily forgotten in the list of a contract."""
    packages = imports.find_children("regionplot") - {"regionplot.__main__", "regionplot._version"}
    allowed = {f"regionplot.{word}" for word in re.split(r", | and ", name.partition(" only in ")[2])}
    assert {package for package in packages if package not in allowed} == set(FORBIDDEN[name]["source_modules"])


def test_each_kind_of_contract_is_tested() -> None:
    unknown: dict[str, Any] = {
        name: contract for name, contract in CONTRACTS.items() if contract["type"] not in CLASSES
    }
    assert not unknown, "write a test that breaks these contracts"
