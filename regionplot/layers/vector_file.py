"""Base class of layers from vector files."""

from __future__ import annotations

from typing import Any, Self

from typing_extensions import override

from regionplot.layers.base import Layer, LoadContext
from regionplot.settings.vector import VectorSettings


class VectorFileLayer(Layer):
    """A layer whose settings name a vector file. A subclass defines `start`, which begins to read the file."""

    @classmethod
    @override
    def check(cls, settings: VectorSettings) -> None:
        from regionplot.inputs.vector_files import check_layer  # noqa: PLC0415 (imports pyogrio and pandas)

        check_layer(settings)

    @classmethod
    @override
    def load(cls, settings: Any, context: LoadContext) -> Self:
        return cls.start(settings, context)(context)
