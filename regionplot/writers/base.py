"""The `Writer` protocol, the pictures that writers encode, and the choice of a writer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, ClassVar, Generic, Literal, Protocol, TypeVar

from regionplot.errors import ConfigError
from regionplot.registry import WRITERS
from regionplot.settings.base import Section
from regionplot.settings.output import OutputSettings
from regionplot.writers.georeference import Georeference
from regionplot.writers.picture import DESCRIPTION, DIGEST, GEOREFERENCE, SOFTWARE, TITLE, Bytes, Picture

__all__ = [
    "DESCRIPTION", "DIGEST", "GEOREFERENCE", "SOFTWARE", "TITLE", "AnyWriter", "Bytes", "FigurePicture", "PaletteUse",
    "Picture", "SaveFigure", "Writer", "encode", "make_writer",
]  # fmt: skip
PaletteUse = Literal["auto", "palette", "rgb"]
"""When to use a palette: if the map allows a palette (`auto`), always (`palette`), or never (`rgb`)."""


class SaveFigure(Protocol):
    """Function that writes a figure to a file in a vector format."""

    def __call__(self, file: BinaryIO, format: str, metadata: Mapping[str, str | None]) -> None:
        """Write the figure. `format` and `metadata` are passed to `matplotlib.figure.Figure.savefig`."""


@dataclass(frozen=True)
class FigurePicture:
    """A finished map as a figure: lines and text are vectors, the raster is an image."""

    save: SaveFigure
    title: str
    no_data: bool
    """True if the region holds only nodata."""
    georeference: Georeference | None = None
    """Place of the map on the sheet and on the earth, in pixels of `[map] size`. None if it is unknown."""


P = TypeVar("P", Picture, FigurePicture, contravariant=True)


class Writer(Protocol, Generic[P]):
    """Encode pictures in one file format. A new format needs one module, and one line in `registry.WRITERS`.

    The suffix of `[output] filename` determines the writer. Each process creates its writer once, from the settings.
    """

    suffixes: ClassVar[tuple[str, ...]]
    """Suffixes of the format's files, such as `(".png",)`."""
    media_type: ClassVar[str]
    needs: ClassVar[Literal["pixels", "figure"]]
    """Kind of picture that `encode` takes: `Picture` for `pixels`, `FigurePicture` for `figure`."""
    Settings: ClassVar[type[Section]]
    """Class of the `[output.NAME]` section. All its fields are part of the digest of a map."""
    max_side: ClassVar[int | None] = None
    """Maximum width and height in pixels that the format can store. None: no limit."""
    palette: PaletteUse = "rgb"
    """Use of a palette in the pictures that `encode` takes."""
    adapts_palette: ClassVar[bool] = False
    """True if each picture without a common palette can have one of its own, with colors that are not exact."""
    mark: ClassVar[bytes] = b""
    """Bytes near the start of each file of the format. Empty: unknown."""

    def __init__(self, settings: Section) -> None: ...

    def encode(self, picture: P, metadata: Mapping[str, str]) -> bytes:
        """Return the content of the file. Equal pictures and metadata give equal bytes.

        Parameters
        ----------
        picture : Picture or FigurePicture
            The map, of the kind that `needs` names.
        metadata : mapping of str to str
            Text to store in the file. A run passes the keys `TITLE`, `SOFTWARE` and `DIGEST`.

        Raises
        ------
        RegionplotError
            If the format cannot store the picture.
        """
        ...


AnyWriter = Writer[Picture] | Writer[FigurePicture]


def make_writer(output: OutputSettings, name: str | None = None) -> AnyWriter:
    """Create a writer from its settings.

    Parameters
    ----------
    output : OutputSettings
        The `[output]` section.
    name : str, optional
        Name of the format. By default, the suffix of `[output] filename` decides.

    Raises
    ------
    ConfigError
        If there is no such format.
    """
    name = name or output.format
    if name not in WRITERS:
        raise ConfigError(f"there is no image format {name!r}; use one of {', '.join(map(repr, WRITERS))}")
    writer: type[Writer[Picture]] | type[Writer[FigurePicture]] = WRITERS[name]
    return writer(output.settings_of(name))


_NEEDED = {"pixels": (Picture, "MapRenderer.render"), "figure": (FigurePicture, "MapRenderer.render_vectors")}
"""Class of the picture for each value of `Writer.needs`, and the method that returns it."""


def encode(picture: Picture | FigurePicture, writer: AnyWriter, metadata: Mapping[str, str]) -> bytes:
    """Return the content of a file.

    Raises
    ------
    ConfigError
        If the picture is not of the kind that the writer needs, or a key or value of the metadata is not a text.
    RegionplotError
        If the format cannot store the picture.
    """
    if not isinstance(metadata, Mapping):
        raise ConfigError(f"the metadata must be a mapping, not {metadata!r}")
    for key, value in metadata.items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise ConfigError(f"the metadata must be texts, not {key!r}: {value!r}; convert them with str()")
    kind, source = _NEEDED[writer.needs]
    if not isinstance(picture, kind):
        raise ConfigError(f"{writer.media_type} needs a picture from {source}, not a {type(picture).__name__}")
    return writer.encode(picture, metadata)  # type: ignore[arg-type]  # checked above
