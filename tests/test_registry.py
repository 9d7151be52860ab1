"""A plug-in of another package that cannot be loaded gives one line that names the plug-in and its package."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from regionplot.errors import ConfigError
from regionplot.executors.base import Executor
from regionplot.layers.base import Layer
from regionplot.prepare.base import Step, StepSettings
from regionplot.registry import COMMANDS, EXECUTORS, LAYERS, SOURCES, STEPS, WRITERS, Registry
from regionplot.settings.config import section_names
from regionplot.writers.base import Writer

REGISTRIES = {registry.group: registry for registry in (EXECUTORS, LAYERS, SOURCES, STEPS, WRITERS)}
FAULTS = {
    "absent": ("not_there:Broken", "ModuleNotFoundError: No module named 'not_there'"),
    "no class": ("broken_plugin:Other", "AttributeError: module 'broken_plugin' has no attribute 'Other'"),
    "own error": ("broken_import:Broken", "RuntimeError: two lines"),
}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Yield a function that installs a package with the plug-in `broken` in each group."""

    def write(place: str) -> None:
        information = tmp_path / "broken_package-1.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-package\nVersion: 1\n")
        groups = "".join(f"[{group}]\nbroken = {place}\n" for group in REGISTRIES)
        (information / "entry_points.txt").write_text(groups)
        (tmp_path / "broken_plugin.py").write_text("class Broken:\n    pass\n")
        (tmp_path / "broken_import.py").write_text("raise RuntimeError('two\\nlines')")
        monkeypatch.syspath_prepend(str(tmp_path))

    yield write
    sys.modules.pop("broken_plugin", None)


def test_a_plugin_that_is_installed_while_the_program_runs_is_found(
    install: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    os.utime(tmp_path, (1, 1))
    assert "broken" not in LAYERS
    install("broken_plugin:Broken")
    sys.path.remove(str(tmp_path))  # it is there twice
    assert "broken" in LAYERS


@pytest.mark.parametrize(("place", "reason"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("registry", REGISTRIES.values(), ids=REGISTRIES)
def test_a_broken_plugin_is_named(install: Callable[[str], None], registry: Registry, place: str, reason: str) -> None:
    install(place)
    assert "broken" in registry
    with pytest.raises(ConfigError) as caught:
        registry["broken"]
    assert str(caught.value) == (
        f"the plug-in 'broken' ({registry.group}) cannot be loaded from {place}: {reason}; "
        "repair or uninstall the package broken-package"
    )


@pytest.mark.parametrize("registry", REGISTRIES.values(), ids=REGISTRIES)
def test_a_plugin_without_a_member_of_its_interface_is_named(
    install: Callable[[str], None], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("broken_plugin:Broken")
    import broken_plugin  # type: ignore[import-not-found]

    interface = registry.interface
    members = {*interface.required, *interface.defaulted}
    for missing in members:
        plugin = type("Broken", (), dict.fromkeys(members - {missing}))
        monkeypatch.setattr(broken_plugin, "Broken", plugin)
        with pytest.raises(ConfigError) as caught:
            registry["broken"]
        assert str(caught.value) == (
            f"the plug-in 'broken' ({registry.group}) has no {missing!r}; "
            f"add it to broken_plugin:Broken as in {interface.name}, or uninstall the package broken-package"
        )
    monkeypatch.setattr(broken_plugin, "Broken", type("Broken", (), dict.fromkeys(members)))
    assert registry["broken"] is broken_plugin.Broken
    for missing in interface.of_instance:
        instance = SimpleNamespace(**dict.fromkeys({*interface.of_instance} - {missing}))
        with pytest.raises(
            ConfigError, match=f"the plug-in 'broken' .* has no '{missing}'; add it to broken_plugin:Br"
        ):
            registry.checked("broken", instance)
    assert registry.checked("broken", complete := SimpleNamespace(**dict.fromkeys(interface.of_instance))) is complete


@pytest.mark.parametrize(
    ("registry", "protocol"),
    [(EXECUTORS, Executor), (LAYERS, Layer), (STEPS, Step), (STEPS, StepSettings), (WRITERS, Writer)],
)
def test_the_stubs_of_a_protocol_do_not_count_as_members(registry: Registry, protocol: type) -> None:
    """A subclass of a protocol inherits its defaults. It also inherits methods that return None."""
    interface = registry.interface
    own = type("Broken", (protocol,), {})
    given = {name for name in interface.required if name in vars(StepSettings) and protocol is StepSettings}
    assert set(interface.missing_from(own)) >= set(interface.required) - given
    for name in {**vars(protocol), **protocol.__annotations__}:
        public = not name.startswith("_") and protocol is not StepSettings
        assert not public or name in {*interface.required, *interface.defaulted, *interface.of_instance}, name


def test_interfaces_describe_the_built_in_classes() -> None:
    for registry in REGISTRIES.values():
        for name in registry.builtin:
            assert registry.interface.missing_from(registry[name]) == [], name
    assert registry.interface.name


def test_a_layer_must_not_have_the_name_of_a_section(
    install: Callable[[str], None], run_command: Any, tmp_path: Path
) -> None:
    assert LAYERS.interface.reserved == tuple(name for name in section_names() if name not in LAYERS)
    install("broken_plugin:Broken")
    points = tmp_path / "broken_package-1.dist-info" / "entry_points.txt"
    points.write_text("[regionplot.layers]\nmap = broken_plugin:Broken\n")
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\nnc,-84,-75,33,37\n")
    (tmp_path / "regionplot.toml").write_text('[raster]\npath = "sample:relief"\n[map]\ncaption = "x"\n')
    result = run_command(tmp_path, "regions.csv")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "regionplot: the plug-in 'map' (regionplot.layers) has the name of a section of the settings; "
        "give the plug-in another name, or uninstall the package broken-package\n"
    )


def test_other_packages_cannot_add_commands() -> None:
    assert COMMANDS.group is None
    assert list(COMMANDS) == list(COMMANDS.builtin)


@pytest.mark.parametrize(
    ("place", "reason"),
    [("not_there:Broken", "No module named 'not_there'"), ("broken_plugin:Broken", "has no '")],
    ids=["absent", "incomplete"],
)
@pytest.mark.parametrize(
    "arguments",
    [
        ["schema"],
        ["regions.csv", "--raster", "sample:relief", "--start-method", "broken"],
        ["regions.csv", "-c", "layer.toml"],
        ["regions.csv", "-c", "step.toml"],
        ["regions.csv", "-c", "writer.toml"],
        ["regions.csv", "--raster", "grid.broken"],
    ],
    ids=" ".join,
)
def test_the_command_reports_a_broken_plugin_in_one_line(
    arguments: Sequence[str],
    place: str,
    reason: str,
    install: Callable[[str], None],
    run_command: Any,
    tmp_path: Path,
) -> None:
    install(place)
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\nnc,-84,-75,33,37\n")
    raster = '[raster]\npath = "sample:relief"\n'
    (tmp_path / "layer.toml").write_text(f"{raster}[broken]\n")
    (tmp_path / "step.toml").write_text(f'{raster}[[prepare]]\nstep = "broken"\n')
    (tmp_path / "writer.toml").write_text(f'{raster}[output]\nfilename = "{{name}}.broken"\n')
    (tmp_path / "grid.broken").write_text("cells")
    result = run_command(tmp_path, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1, result.stderr
    assert "the plug-in 'broken' (regionplot." in result.stderr
    assert reason in result.stderr


@pytest.mark.slow
def test_the_help_of_prepare_reports_a_broken_step_in_one_line(install: Callable[[str], None], tmp_path: Path) -> None:
    """The test needs a new process, because a process builds the options of the command only once."""
    install("not_there:Broken")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    command = [sys.executable, "-m", "regionplot", "prepare", "--help"]
    environment = {**os.environ, "PYTHONPATH": path}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1, result.stderr
    assert "the plug-in 'broken' (regionplot.steps)" in result.stderr


def test_a_broken_plugin_that_is_not_used_does_not_stop_a_run(
    install: Callable[[str], None], run_command: Any, tmp_path: Path
) -> None:
    install("not_there:Broken")
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\nnc,-84,-75,33,37\n")
    result = run_command(tmp_path, "regions.csv", "--raster", "sample:relief", "--start-method", "serial")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "output" / "nc.png").is_file()


def test_all_commands_can_be_imported() -> None:
    assert all(COMMANDS[name].name == name for name in COMMANDS.builtin)
