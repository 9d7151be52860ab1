"""Compare the sources and libraries of modules with the import graph of grimp."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from pathlib import Path

import grimp
import pytest

import regionplot
from regionplot.registry import WRITERS
from regionplot.system.code import imported_libraries, library_version, source_files

ROOT = Path(regionplot.__file__).parents[1]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("regionplot", include_external_packages=True)


MODULES = [
    "regionplot.render.renderer", "regionplot.inputs.vector_layers", "regionplot.prepare.run", "regionplot.runs.run",
    *(WRITERS[name].__module__ for name in WRITERS),
]  # fmt: skip


def upstream(graph: grimp.ImportGraph, *modules: str) -> set[str]:
    return {*modules}.union(*(graph.find_upstream_modules(module) for module in modules))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("module", MODULES)
def test_the_source_files_equal_those_of_the_import_graph(graph, module: str) -> None:
    expected = {name for name in upstream(graph, module) if name.partition(".")[0] == "regionplot"}
    assert {name_of(path) for path in source_files(module)} == expected


def test_the_source_files_of_several_modules_are_combined(graph) -> None:
    expected = {name for name in upstream(graph, *MODULES) if name.partition(".")[0] == "regionplot"}
    assert {name_of(path) for path in source_files(*MODULES)} == expected


@pytest.mark.parametrize("module", MODULES)
def test_the_libraries_equal_those_of_the_import_graph(graph, module: str) -> None:
    external = {name.partition(".")[0] for name in upstream(graph, module)}
    assert set(imported_libraries(module)) == external - {"regionplot"} - set(sys.stdlib_module_names)


def test_modules_of_a_plugin_s_own_package_are_included(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "extra_plugins"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "gif.py").write_text("import shapely\nfrom extra_plugins import colors\nfrom regionplot.text import x\n")
    (package / "colors.py").write_text("import numpy as np, json\n")
    (package / "other.py").write_text("import scipy\n")
    monkeypatch.syspath_prepend(tmp_path)
    modules = ("extra_plugins.gif", "regionplot.errors")
    assert [path.name for path in source_files(*modules) if package in path.parents] == ["colors.py", "gif.py"]
    assert "text.py" in [path.name for path in source_files(*modules)]
    assert set(imported_libraries(*modules)) == {"numpy", "shapely"}


def test_a_library_has_the_version_of_its_distribution() -> None:
    import numpy
    import PIL

    assert library_version("numpy") == numpy.__version__
    for library in imported_libraries("regionplot.runs.run"):
        assert library_version(library) == importlib.metadata.version({"PIL": "pillow"}.get(library, library))
    assert library_version("PIL") == PIL.__version__, "the distribution of PIL is pillow"
    assert library_version("no_such_library") == "-"


def test_a_script_has_no_sources(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "some_script", types.ModuleType("some_script"))  # without a spec, like `__main__`
    assert source_files("some_script") == ()
