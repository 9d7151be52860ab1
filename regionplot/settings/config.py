"""Config: all settings of a run."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from regionplot.settings import steps
from regionplot.settings.base import Section
from regionplot.settings.colors import ColorSettings
from regionplot.settings.map import MapSettings
from regionplot.settings.output import OutputSettings
from regionplot.settings.raster import RasterSettings
from regionplot.settings.run import RunSettings
from regionplot.settings.vector import FeatureSettings


class Config(Section):
    """All settings of a run, checked; `read_config` makes it.

    It is frozen and picklable: it is what travels to workers that cannot inherit the data.
    """

    raster: RasterSettings
    prepare: Annotated[tuple[steps.Step, ...], Field(strict=False)] = ()
    """What is done to the raster before it is drawn, in order."""
    map: MapSettings = MapSettings()
    colors: ColorSettings = ColorSettings()
    features: Annotated[tuple[FeatureSettings, ...], Field(strict=False)] = ()
    output: OutputSettings = OutputSettings()
    run: RunSettings = RunSettings()

    @model_validator(mode="after")
    def _used(self) -> Config:
        if self.raster.inputs and not self.prepare:
            raise ValueError("[raster] inputs are for the steps of [[prepare]], but there is none")
        return self
