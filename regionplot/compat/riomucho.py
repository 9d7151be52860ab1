"""Run programs of rio-mucho 1.0.0 unchanged: `from regionplot.compat import riomucho`.

The function is called for the same windows with the same data, and rasterio converts the results, so the cells are
equal. There are five differences. The old output stays until the new output is complete. The windows must not overlap.
Inputs are local files in the formats of this package. `MuchoChildError` is `BlockError`. No `.aux.xml` is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from regionplot.blocks import Block, process_blocks, stack_arrays
from regionplot.blocks.arguments import window_of
from regionplot.blocks.new_raster import create_raster, os_errors_as_raster_errors
from regionplot.blocks.sinks import FunctionSink
from regionplot.errors import BlockError
from regionplot.inputs.gdal import gdal_options, opened
from regionplot.system.files import atomic_replace, new_run


def _get_options(path: str) -> dict[str, Any]:
    with opened(Path(path)) as source:
        return dict(source.profile)


def _get_windows(path: str) -> list[list[Any]]:
    with opened(Path(path)) as source:
        return [[window, ij] for ij, window in source.block_windows()]


utils = SimpleNamespace(array_stack=stack_arrays, getOptions=_get_options, getWindows=_get_windows)
MuchoChildError = BlockError
_MODES: dict[str, Any] = {"simple_read": list, "array_read": stack_arrays, "manual_read": None}


@dataclass
class RioMucho:
    """Apply a function to the windows of rasters, in parallel. The arguments are those of rio-mucho's class."""

    inpaths: Sequence[str]
    outpath_or_dataset: Any
    run_function: Callable[..., Any]
    mode: str = "simple_read"
    windows: Iterable[Any] | None = None
    options: dict[str, Any] | None = None
    global_args: Any = None

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            raise ValueError(f"mode must be one of: {', '.join(_MODES)}, not {self.mode!r}")
        if not self.inpaths or isinstance(self.inpaths, str) or not callable(self.run_function):
            raise ValueError("RioMucho needs a list of at least one input, and a function")
        self.global_args = self.global_args or {}

    def __enter__(self) -> RioMucho:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, processes: int = 4) -> None:
        """Process all windows with a number of processes. Raise errors like `process_blocks`."""
        windows = list(self.windows or []) or utils.getWindows(self.inpaths[0])
        grid = [window_of(window) for window, _ in windows]
        jobs = {(at.row_off, at.col_off): job for at, job in zip(grid, windows, strict=True)}
        with ExitStack() as stack:
            file, target = self._open_output(stack)
            call, nodata = self._call, target.nodata

            def process(datasets: Sequence[Any], block: Block, _arguments: object) -> Any:
                result = call(datasets, *jobs[block.core.row_off, block.core.col_off])
                if result is None:
                    raise BlockError("the function returned None; return an array (bands, rows, columns)")
                return result.filled(nodata) if hasattr(result, "filled") else result

            output = FunctionSink(lambda block, values: target.write(values, window=block.core.ranges), file=file)
            process_blocks(process, self.inpaths, output, read="datasets", grid=grid, workers=processes)

    def _open_output(self, stack: ExitStack) -> tuple[Path, Any]:
        """Return the file that is written, and the open dataset. The stack closes the dataset."""
        if hasattr(self.outpath_or_dataset, "write"):
            stack.callback(self.outpath_or_dataset.close)  # last, because it also ends an environment of its own
            stack.enter_context(gdal_options())
            return Path(self.outpath_or_dataset.name), self.outpath_or_dataset
        stack.enter_context(gdal_options())
        output = Path(self.outpath_or_dataset)
        stack.enter_context(os_errors_as_raster_errors(output))
        file = stack.enter_context(atomic_replace(output, new_run()))
        return file, stack.enter_context(create_raster(file, self.options or utils.getOptions(self.inpaths[0])))

    def _call(self, datasets: Sequence[Any], window: Any, ij: Any) -> Any:
        read = _MODES[self.mode]
        data = datasets if read is None else read([dataset.read(window=window) for dataset in datasets])
        return self.run_function(data, window, ij, self.global_args)
