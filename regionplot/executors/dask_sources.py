"""Send the source files of the user's modules to dask workers, which may not have them.

::

    task ─► sources_of: modules that are not installed ─► Sources ─► worker: a folder on `sys.path`
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pickle
import pickletools
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regionplot.system.modules import code_of, is_own_code

_OWN = __name__.partition(".")[0]
_LIBRARY_FOLDERS = ("site-packages", "dist-packages")
_lock = threading.Lock()
_folders: dict[str, tempfile.TemporaryDirectory[str]] = {}
"""The folder of the sources that this worker process uses now, by their digest."""


@dataclass(frozen=True)
class Sources:
    """Source files of modules. A process that unpickles this object can import the modules."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    """Contents by path, relative to the folder from which the modules are imported."""
    packages: tuple[str, ...] = ()
    """Installed packages that the modules and the task need. They are not sent."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a call of `use_sources`, so that objects that are unpickled later find the modules."""
        return use_sources, (dict(self.files),)


def sources_of(task: Any) -> Sources:
    """Return the source files of the modules that a task needs and that are not installed, and the other packages.

    The result is empty if the task does not pickle.

    Parameters
    ----------
    task : Task
        The task. Its modules are imported.
    """
    found: dict[str, bytes] = {}
    modules = _modules_of(task)
    packages = {name.partition(".")[0] for name in modules if _is_installed(name)}
    for name in filter(_is_own, modules):
        folder = _folder_of(name)
        code = code_of(name, folder)
        packages.update(library for library in code.libraries if library in sys.modules)
        for path in code.files:
            home = folder if is_own_code(str(path), folder) else _home_of(path)
            if home is not None:
                found[path.relative_to(home).as_posix()] = path.read_bytes()
    return Sources(found, tuple(sorted(packages)))


def missing_packages(names: tuple[str, ...]) -> list[str]:
    """Return the packages that this process cannot import."""
    return [name for name in names if name not in sys.modules and importlib.util.find_spec(name) is None]


def _modules_of(task: Any) -> list[str]:
    """Return the imported modules whose names are in the pickled task: `module` or `module:function`."""
    import cloudpickle  # noqa: PLC0415 (dask requires it)

    try:
        pickled = cloudpickle.dumps(task, protocol=5, buffer_callback=lambda _: None)
    except Exception:  # dask reports it
        return []
    texts = {text for _, text, _ in pickletools.genops(pickled) if isinstance(text, str)}
    names = {name for text in texts for name in (text, text.partition(":")[0], *text.split()[:1])}
    return sorted(names & set(sys.modules))


def _is_own(name: str) -> bool:
    """Return True for a module that has a source file and belongs to no installed package."""
    file = getattr(sys.modules[name], "__file__", None)
    top = name.partition(".")[0]
    if not file or not file.endswith(".py") or top in (_OWN, "__main__") or top in sys.stdlib_module_names:
        return False
    return not set(Path(file).parts) & set(_LIBRARY_FOLDERS) and Path(file).is_file()


def _is_installed(name: str) -> bool:
    """Return True for a module of an installed package."""
    file = getattr(sys.modules[name], "__file__", None)
    return not set(Path(file or "").parts).isdisjoint(_LIBRARY_FOLDERS)


def _folder_of(name: str) -> Path:
    """Return the folder from which an imported module is found."""
    path = Path(sys.modules[name].__file__ or "").absolute()
    return path.parents[name.count(".") + (path.name == "__init__.py")]


def _home_of(path: Path) -> Path | None:
    """Return the entry of `sys.path` that holds a file."""
    homes = [Path(entry).absolute() for entry in sys.path]
    return next((home for home in homes if home in path.parents), None)


def use_sources(files: Mapping[str, bytes]) -> Sources:
    """Make modules importable in this process, and return their sources.

    If this process finds the same files itself, it uses its own. Modules of earlier sources are forgotten.

    Parameters
    ----------
    files : mapping
        `Sources.files`.
    """
    digest = hashlib.sha256(pickle.dumps(sorted(files.items()))).hexdigest()
    with _lock:
        if digest not in _folders:
            _forget_modules()
            if not all(_has_itself(name, content) for name, content in files.items()):
                _write(digest, files)
    return Sources(files)


def _forget_modules() -> None:
    while _folders:
        _, folder = _folders.popitem()
        sys.path[:] = [entry for entry in sys.path if entry != folder.name]
        for name, module in list(sys.modules.items()):
            if is_own_code(getattr(module, "__file__", None) or "", Path(folder.name)):
                del sys.modules[name]
        folder.cleanup()


def _has_itself(name: str, content: bytes) -> bool:
    """Return True if this process finds a module whose source file has this content."""
    path = Path(name)
    module = ".".join((path.parent if path.name == "__init__.py" else path.with_suffix("")).parts)
    try:
        spec = importlib.util.find_spec(module)
        return spec is not None and spec.origin is not None and Path(spec.origin).read_bytes() == content
    except (ImportError, ValueError, OSError):
        return False


def _write(digest: str, files: Mapping[str, bytes]) -> None:
    """Write source files into a new folder, and make it the first entry of `sys.path`."""
    folder = tempfile.TemporaryDirectory(prefix="regionplot-modules-")
    for name, content in files.items():
        path = Path(folder.name, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for top in {name.partition("/")[0].removesuffix(".py") for name in files}:
        for loaded in [each for each in sys.modules if each.partition(".")[0] == top]:
            del sys.modules[loaded]  # an older version of this module
    sys.path.insert(0, folder.name)
    importlib.invalidate_caches()
    _folders[digest] = folder
