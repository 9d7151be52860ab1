"""Draw maps with a function of the user, and turn its result into a picture."""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from regionplot.colors.base import opaque_background
from regionplot.errors import ConfigError, FunctionError, Place, Problem, RegionplotError
from regionplot.geo.region import Region
from regionplot.layers.title import title_of
from regionplot.render.sheets import Style, make_sheet
from regionplot.render.vector import SaveSheet
from regionplot.settings.functions import UserFunction
from regionplot.shared.data import SharedData
from regionplot.shared.functions import call_function, load_function
from regionplot.system.stopwatch import Stopwatch
from regionplot.system.threads import GLOBALS_LOCK
from regionplot.text import one_line
from regionplot.writers.base import Bytes, FigurePicture, Picture, encode, make_writer

_MAX_BYTE = 255
_START = 4096
"""Number of bytes at the start of a file that are searched for the mark of the format."""
_KINDS = "a figure, axes, the bytes of an image, or an array"


@dataclass(frozen=True)
class EncodedPicture:
    """A map whose file content the function of the user has returned."""

    content: bytes
    title: str
    no_data: bool = False
    georeference: None = None
    """Nothing is known about the place of the map in the image."""


class OwnRenderer:
    """Draw maps with the function of `[map] draw`.

    Parameters
    ----------
    shared : SharedData
        The data. The function gets it as its first argument.

    Raises
    ------
    ConfigError
        If the function cannot be imported, or the settings require a palette.
    InputError
        If the raster, or the function of `[map] load`, fails.
    """

    def __init__(self, shared: SharedData) -> None:
        assert shared.config.map.draw is not None, "the settings name a function"
        self._shared = shared
        self._function: UserFunction = shared.config.map.draw
        self._loaded = load_function(self._function)
        self._writer = make_writer(shared.config.output)
        if self._writer.palette == "palette":
            raise ConfigError(
                f"[output.{shared.config.output.format}] mode: the maps of a function of your own have no palette; "
                "use 'auto'"
            )
        self._style = Style.of(shared) if shared.config.map.empty == "skip" else None
        load_for_functions(shared)

    def prepare(self, regions: Sequence[Region]) -> None:
        """Do nothing: everything is loaded when the renderer is made."""

    def render(self, region: Region, watch: Stopwatch | None = None) -> Picture | EncodedPicture:
        """Draw one region for a writer of pixels.

        Parameters
        ----------
        region : Region
            The region to draw.
        watch : Stopwatch, optional
            Stopwatch that records the time of each stage.

        Raises
        ------
        FunctionError
            If the function fails, or returns an object of a wrong type.
        RegionError
            If the row of the region lacks a field of the title.
        """
        watch = watch or Stopwatch()
        title = title_of(region, self._shared.config.map, self._shared.description)
        if self._is_empty(region):
            return EncodedPicture(b"", title, no_data=True)
        with draw_alone():
            result = self._call(region)
            watch.lap("function")
            picture = self._picture(result, title)
        watch.lap("compose")
        return picture

    def figure(self, region: Region) -> Figure:
        """Return the figure that the function makes for a region.

        Raises
        ------
        FunctionError
            If the function fails, or returns no figure.
        """
        with draw_alone():
            result = self._call(region)
        figure = _figure_of(result)
        if figure is None:
            raise self._error(f"returns {_kind_of(result)}, which is not a figure")
        return figure

    def render_vectors(self, region: Region) -> FigurePicture | EncodedPicture:
        """Draw one region for a vector format.

        Raises
        ------
        FunctionError, RegionError
            As for `render`.
        """
        title = title_of(region, self._shared.config.map, self._shared.description)
        if self._is_empty(region):
            return EncodedPicture(b"", title, no_data=True)
        with draw_alone():
            result = self._call(region)
            if isinstance(result, bytes | bytearray | memoryview):
                return EncodedPicture(self._checked_vectors(bytes(result)), title)
            figure = _figure_of(result)
            if figure is None:
                raise self._error(
                    f"returns {_kind_of(result)}, but a {self._shared.config.output.format} needs a figure"
                )
        return FigurePicture(SaveSheet(figure), title, no_data=False)

    def encode(
        self,
        picture: Picture | FigurePicture | EncodedPicture,
        format: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> bytes:
        """Encode a picture. See `MapRenderer.encode`."""
        if isinstance(picture, EncodedPicture):
            return picture.content
        writer = make_writer(self._shared.config.output, format)
        if isinstance(picture, Picture):
            return encode(picture, writer, metadata or {})
        try:
            return encode(picture, writer, metadata or {})
        except (RegionplotError, MemoryError):
            raise
        except Exception as error:
            raise self._undrawable(error) from error

    def _call(self, region: Region) -> Any:
        return call_function("draw", self._function, self._loaded, region.name, self._shared, region)

    def _is_empty(self, region: Region) -> bool:
        return self._style is not None and make_sheet(region, self._style).no_data

    def _picture(self, result: Any, title: str) -> Picture | EncodedPicture:
        """Return the picture for a result of the function."""
        if isinstance(result, bytes | bytearray | memoryview):
            return self._decoded(bytes(result), title)
        figure = _figure_of(result)
        if figure is not None:
            pixels = self._drawn(figure)
        elif hasattr(result, "__array_interface__"):
            pixels = self._checked_pixels(np.asarray(result))
        else:
            raise self._error(f"returns {_kind_of(result)}; return {_KINDS}")
        return Picture(opaque(pixels, self._shared.config.map.background), None, title, no_data=False)

    def _drawn(self, figure: Figure) -> NDArray[np.uint8]:
        try:
            return pixels_of(figure)
        except MemoryError:
            raise
        except Exception as error:  # an artist of the user fails only now
            raise self._undrawable(error) from error

    def _undrawable(self, error: Exception) -> FunctionError:
        return self._error(f"returns a figure that cannot be drawn: {type(error).__name__}: {one_line(str(error))}")

    def _decoded(self, content: bytes, title: str) -> Picture | EncodedPicture:
        """Return the bytes of an image as they are if they have the format of the file. Otherwise, decode the image."""
        try:
            with Image.open(io.BytesIO(content)) as image:
                image.load()  # finds truncated images
                if f".{(image.format or '').lower()}" in self._writer.suffixes:
                    return EncodedPicture(content, title)
                pixels = np.asarray(image.convert("RGBA"))
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            text = "are not an image" if isinstance(error, UnidentifiedImageError) else f"are damaged: {error}"
            raise self._error(f"returns {len(content):,} bytes that {text}; return {_KINDS}") from None
        return Picture(opaque(pixels, self._shared.config.map.background), None, title, no_data=False)

    def _checked_vectors(self, content: bytes) -> bytes:
        if self._writer.mark not in content[:_START]:
            name = self._shared.config.output.format
            raise self._error(
                f"returns {len(content):,} bytes that are not a file in the format {name}; return a figure"
            )
        return content

    def _checked_pixels(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return an array of RGB or RGBA bytes for an array of pixels."""
        is_image = (pixels.ndim == 3 and pixels.shape[2] in (3, 4)) or pixels.ndim == 2
        if not is_image or not pixels.size:
            raise self._error(f"returns an array of the shape {pixels.shape}; return rows, columns and 3 or 4 channels")
        if pixels.dtype.kind == "f":
            if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
                raise self._error(
                    "returns an array of floats that are not all between 0 and 1; scale them, or use uint8"
                )
            pixels = np.rint(pixels * _MAX_BYTE).astype(np.uint8)
        if pixels.dtype != np.uint8:
            raise self._error(f"returns an array of the type {pixels.dtype}; use uint8, or floats between 0 and 1")
        return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)

    def _error(self, text: str) -> FunctionError:
        place = Place(section="map" if self._function.function is None else "", key="draw")
        return FunctionError(Problem(f"the function {self._function.name!r} {text}", place))


def leave_display() -> None:
    """Use a matplotlib backend without windows. A forked worker cannot use the windows of the program."""
    matplotlib.use("agg")


def load_for_functions(shared: SharedData) -> None:
    """Load what functions of the user can use, so that forked workers inherit it: the cells and `shared.extra`."""
    _ = shared.cells, shared.extra


@contextmanager
def draw_alone() -> Iterator[None]:
    """Draw alone, with the rcParams of the program. Afterwards, restore the rcParams, and close new pyplot figures.

    Without this, a function that changes rcParams would change the maps that follow in the same worker.
    """
    with GLOBALS_LOCK, matplotlib.rc_context():
        before = _open_figures()
        try:
            yield
        finally:
            for number in _open_figures() - before:
                sys.modules["matplotlib.pyplot"].close(number)
            gc.collect()  # figures hold reference cycles


def opaque(pixels: NDArray[Any], background: str) -> Bytes:
    """Return RGB pixels for pixels with 3 or 4 channels. Transparent pixels show the background."""
    alpha = pixels[..., 3:]
    if (alpha == _MAX_BYTE).all():  # also without a fourth channel
        return np.ascontiguousarray(pixels[..., :3])
    share = alpha / _MAX_BYTE
    paper = opaque_background(background) * _MAX_BYTE
    return np.rint(pixels[..., :3] * share + paper * (1 - share)).astype(np.uint8)


def _open_figures() -> set[int]:
    """Return the numbers of the figures that pyplot has registered."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    return set(pyplot.get_fignums()) if pyplot else set()


class _PixelCanvas(FigureCanvasAgg):
    """Canvas that keeps the pixels instead of writing a file."""

    pixels: NDArray[np.uint8]

    def print_raw(self, filename_or_obj: Any, **options: Any) -> None:  # noqa: ARG002 (as in matplotlib)
        """Draw the figure, and keep its pixels."""
        canvas: Any = super()  # the stubs of matplotlib leave these methods untyped
        canvas.draw()
        self.pixels = np.array(canvas.get_renderer().buffer_rgba())


def pixels_of(figure: Figure) -> NDArray[np.uint8]:
    """Return the pixels that `figure.savefig` would write to a PNG, shape (height, width, 4)."""
    canvas = _PixelCanvas(figure)
    figure.savefig(io.BytesIO(), format="raw")
    return canvas.pixels


def _figure_of(result: Any) -> Figure | None:
    """Return the figure that a function has returned, or the figure of returned axes. Return None for other objects."""
    found = result if isinstance(result, Artist) else None
    while found is not None and not isinstance(found, Figure):
        outer = found.figure if not isinstance(found, FigureBase) else getattr(found, "_parent", None)
        found = outer if outer is not found else None
    return found


def _kind_of(result: Any) -> str:
    return "None" if result is None else f"an object of the type {type(result).__name__}"
