"""A package that another library imports is executed only when it is used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from regionplot.system.lazy_import import functions_imported_on_first_use, imported_on_first_use


@pytest.fixture
def write_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], str]:
    """Return a function that writes a package. It imports one name from its module `part`, whose text is given."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))

    def write(package: str, imported: str, part: str) -> str:
        folder = tmp_path / package
        folder.mkdir()
        (folder / "__init__.py").write_text(f"from {package}.part import {imported}\n")
        (folder / "part.py").write_text(part)
        return package

    return write


@pytest.fixture
def package(write_package: Callable[[str, str, str], str]) -> str:
    """Return the name of a package that imports a module of its own."""
    return write_package("large_package", "VALUE", "VALUE = 7\n")


def test_a_package_is_imported_when_an_attribute_is_used(package: str) -> None:
    with imported_on_first_use(package):
        module = importlib.import_module(package)
    assert not {package, f"{package}.part"} & set(sys.modules)
    assert module.VALUE == 7
    assert f"{package}.part" in sys.modules
    assert importlib.import_module(package) is not module, "other modules import the package itself"


def test_attributes_and_modules_can_be_used_during_the_import(package: str) -> None:
    with imported_on_first_use(package):
        module = importlib.import_module(package)
        assert module.VALUE == 7
        assert importlib.import_module(f"{package}.part").VALUE == 7
    assert sys.modules[package].VALUE == 7


def test_a_package_that_is_imported_stays_as_it_is(package: str) -> None:
    module = importlib.import_module(package)
    with imported_on_first_use(package):
        assert importlib.import_module(package) is module
    assert sys.modules[package] is module


@pytest.fixture
def parts(write_package: Callable[[str, str, str], str]) -> str:
    """Return the name of a package that imports a function of one of its modules."""
    text = "VALUE = 7\ndef double(number, *, add=0):\n    return 2 * number + add\n"
    return write_package("package_of_parts", "double", text)


def test_a_module_is_imported_when_its_function_is_called(parts: str) -> None:
    part = f"{parts}.part"
    with functions_imported_on_first_use(part):
        package = importlib.import_module(parts)
    assert part not in sys.modules
    assert package.double(2, add=1) == 5
    assert part in sys.modules


def test_a_function_can_be_called_during_the_import(parts: str) -> None:
    with functions_imported_on_first_use(f"{parts}.part"):
        package = importlib.import_module(parts)
        assert package.double(2) == 4
    assert package.double(3) == 6
    assert importlib.import_module(f"{parts}.part").VALUE == 7


def test_the_module_can_be_used_after_the_import_of_its_package(parts: str) -> None:
    with functions_imported_on_first_use(f"{parts}.part"):
        package = importlib.import_module(parts)
    assert package.part.VALUE == 7
    assert importlib.import_module(f"{parts}.part").double(3) == 6


def test_a_module_that_is_imported_stays_as_it_is(parts: str) -> None:
    module = importlib.import_module(f"{parts}.part")
    with functions_imported_on_first_use(f"{parts}.part", f"{parts}.other"):
        assert importlib.import_module(f"{parts}.part") is module
    assert sys.modules[parts].part is module
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{parts}.other")


def test_a_missing_package_still_cannot_be_imported() -> None:
    with imported_on_first_use("no_such_package"), pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_package")
