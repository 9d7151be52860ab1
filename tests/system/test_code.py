"""The sources and libraries of a module are those that import-linter's graph finds."""

from __future__ import annotations

import sys
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
    "regionplot.render.renderer", "regionplot.inputs.vectors", "regionplot.prepare.run", "regionplot.runs.run",
    *(WRITERS[name].__module__ for name in WRITERS),
]  # fmt: skip


def upstream(graph: grimp.ImportGraph, *modules: str) -> set[str]:
    return {*modules}.union(*(graph.find_upstream_modules(module) for module in modules))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("module", MODULES)
def test_the_sources_are_those_of_the_import_graph(graph, module: str) -> None:
    expected = {name for name in upstream(graph, module) if name.partition(".")[0] == "regionplot"}
    assert {name_of(path) for path in source_files(module)} == expected


def test_the_sources_of_several_modules_are_united(graph) -> None:
    expected = {name for name in upstream(graph, *MODULES) if name.partition(".")[0] == "regionplot"}
    assert {name_of(path) for path in source_files(*MODULES)} == expected


@pytest.mark.parametrize("module", MODULES)
def test_the_libraries_are_those_of_the_import_graph(graph, module: str) -> None:
    external = {name.partition(".")[0] for name in upstream(graph, module)}
    assert set(imported_libraries(module)) == external - {"regionplot"} - set(sys.stdlib_module_names)


def test_a_plugin_of_another_package_counts_with_its_own_modules(tmp_path: Path, monkeypatch) -> None:
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
    assert library_version("PIL") == PIL.__version__, "its distribution is pillow"
    assert library_version("no_such_library") == "-"
