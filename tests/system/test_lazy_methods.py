"""Dataclasses whose methods are compiled later are the same as other dataclasses."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import pickle
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from regionplot.system.lazy_methods import methods_compiled_on_first_use

SOURCE = """
from dataclasses import dataclass, field

@dataclass(frozen=True)
class Frozen:
    name: str
    numbers: list = field(default_factory=list, hash=False, compare=True, repr=False)
    size: int = 3

    def __post_init__(self):
        object.__setattr__(self, "size", self.size + 1)

@dataclass(frozen=True, slots=True)
class Slotted:
    name: str
    size: int = 3

@dataclass(order=True)
class Plain:
    size: int
    name: str = field(default="a", kw_only=True)

@dataclass
class Child(Plain):
    more: float = 0.5

@dataclass(eq=False)
class Same:
    size: int
"""
VALUES = [("Frozen", ("a", [1])), ("Slotted", ("a", 2)), ("Plain", (2,)), ("Child", (2, 1.5)), ("Same", (1,))]
PACKAGES = ("compiled_late", "compiled_early")
COMPILER = "_create_fn"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    """Return a module whose methods are compiled later, and one with the same classes that are compiled at once."""
    monkeypatch.syspath_prepend(tmp_path)
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "classes.py").write_text(SOURCE)
    with methods_compiled_on_first_use(PACKAGES[0]):
        late, early = (importlib.import_module(f"{package}.classes") for package in PACKAGES)
    yield late, early
    for package in PACKAGES:
        for name in (package, f"{package}.classes"):
            sys.modules.pop(name, None)


def of_each(modules: tuple[ModuleType, ModuleType], use: Callable[[type, tuple[object, ...]], object]) -> None:
    """Check that a function returns the same for the classes of both modules."""
    for name, values in VALUES:
        late, early = (use(getattr(module, name), values) for module in modules)
        assert late == early, name


def error_of(use: Callable[[], object]) -> tuple[type[Exception], str]:
    with pytest.raises((TypeError, AttributeError)) as caught:
        use()
    return type(caught.value), str(caught.value)


def test_methods_return_the_same(modules: tuple[ModuleType, ModuleType]) -> None:
    for _ in range(2):  # the second call uses the compiled method
        of_each(modules, lambda kind, values: repr(kind(*values)))
        of_each(modules, lambda kind, values: dataclasses.asdict(kind(*values)))
        of_each(modules, lambda kind, values: (kind(*values) == kind(*values), kind(*values) != kind(*values)))
        of_each(modules, lambda kind, values: repr(dataclasses.replace(kind(*values), size=9)))
        of_each(modules, lambda kind, values: repr(copy.deepcopy(kind(*values))))
        of_each(modules, lambda kind, values: repr(pickle.loads(pickle.dumps(kind(*values)))))
    for module in modules:
        assert hash(module.Slotted("a", 2)) == hash(module.Slotted("a", 2)) != hash(module.Slotted("b", 2))
        assert hash(module.Frozen("a", [1])) == hash(module.Frozen("a", [2]))
        assert sorted([module.Plain(3), module.Plain(1)]) == [module.Plain(1), module.Plain(3)]
        assert module.Child(1, 2.0, name="b").name == "b"


def test_errors_are_the_same(modules: tuple[ModuleType, ModuleType]) -> None:
    of_each(modules, lambda kind, _: error_of(kind))
    of_each(modules, lambda kind, values: error_of(lambda: kind(*values, unknown=1)))
    for name in ("Frozen", "Slotted"):
        changed, removed = (
            [error_of(partial(change, getattr(module, name)("a"), "size", *value)) for module in modules]
            for change, value in ((setattr, (1,)), (delattr, ()))
        )
        assert changed[0] == changed[1]
        assert removed[0] == removed[1]


@pytest.mark.skipif(
    not hasattr(dataclasses, COMPILER), reason="this version of Python compiles the methods of a class together"
)
def test_a_method_is_compiled_when_it_is_called(
    modules: tuple[ModuleType, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    original: Any = getattr(dataclasses, COMPILER)

    def compile_method(name: str, *arguments: Any, **named: Any) -> Any:
        compiled.append(name)
        return original(name, *arguments, **named)

    monkeypatch.setattr(dataclasses, COMPILER, compile_method)
    with methods_compiled_on_first_use(PACKAGES[0]):
        late = importlib.reload(modules[0])
    assert compiled == []
    found = late.Plain(1)
    assert late.Plain(2).size == 2
    assert compiled == ["__init__"]
    assert found < late.Plain(2)
    assert compiled == ["__init__", "__lt__"]
    assert late.Plain.__init__.__qualname__ == "Plain.__init__"


def test_dataclasses_of_other_packages_and_later_ones_are_compiled_at_once(
    modules: tuple[ModuleType, ModuleType],
) -> None:
    assert modules[1].Plain.__init__.__code__.co_varnames[:2] == ("self", "size")

    @dataclasses.dataclass
    class Later:
        size: int

    assert Later.__init__.__code__.co_varnames[:2] == ("self", "size")
