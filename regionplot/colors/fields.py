"""Find the color scale that suits the quantity in a raster.

A scale is chosen only if the metadata identify the quantity: by its CF standard name, by its GRIB element, by an
exact long name, or by units that only one quantity has. The units of the raster must also suit the scale.
"""

from __future__ import annotations

from collections.abc import Iterator

from regionplot.colors.shipped import scale_settings
from regionplot.colors.units import conversion, unit_name
from regionplot.inputs.difference import DIFFERENCE
from regionplot.inputs.source import RasterInfo

_ANOMALY, _ANOMALIES = "_anomaly", (" anomaly", " anomalies")
_STANDARD_NAMES = {
    "nws:temperature": (
        "air_temperature surface_temperature dew_point_temperature air_potential_temperature wet_bulb_temperature "
        "apparent_air_temperature wind_chill_of_air_temperature soil_temperature"
    ),
    "nws:precipitation": (
        "precipitation_amount lwe_thickness_of_precipitation_amount rainfall_amount "
        "lwe_thickness_of_stratiform_precipitation_amount thickness_of_rainfall_amount convective_precipitation_amount"
    ),
    "nws:precipitation_rate": "precipitation_flux lwe_precipitation_rate rainfall_flux rainfall_rate",
    "nws:reflectivity": "equivalent_reflectivity_factor",
    "snow": "surface_snow_amount lwe_thickness_of_surface_snow_amount snowfall_amount",
    "snow_depth": "surface_snow_thickness thickness_of_snowfall_amount",
    "relief": "surface_altitude bedrock_altitude height_above_mean_sea_level",
    "wind": "wind_speed wind_speed_of_gust",
    "wind_component": "eastward_wind northward_wind x_wind y_wind",
    "humidity": "relative_humidity",
    "pressure": "air_pressure_at_mean_sea_level air_pressure_at_sea_level",
    "sea_temperature": "sea_surface_temperature sea_water_temperature",
    "sea_ice": "sea_ice_area_fraction",
    "waves": (
        "sea_surface_wave_significant_height sea_surface_wind_wave_significant_height "
        "sea_surface_swell_wave_significant_height sea_surface_primary_swell_wave_significant_height "
        "sea_surface_secondary_swell_wave_significant_height"
    ),
    "depth": "sea_floor_depth_below_sea_surface sea_floor_depth_below_geoid sea_floor_depth_below_mean_sea_level",
}
_GRIB_ELEMENTS = {
    "nws:temperature": "TMP DPT TMAX TMIN MAXT MINT APTMP T 2T 2D SKT",
    "nws:precipitation": "APCP TP NCPCP ACPCP",
    "nws:precipitation_rate": "PRATE",
    "nws:reflectivity": "REFC REFD",
    "snow": "WEASD SD",
    "snow_depth": "SNOD",
    "wind": "WIND GUST 10SI 10FG",
    "wind_component": "UGRD VGRD U V 10U 10V",
    "humidity": "RH",
    "sea_temperature": "WTMP SSTK",
    "pressure": "PRMSL MSLMA MSLET MSL",
    "waves": "HTSGW WVHGT SWELL SWH SHWW SHTS MWVHGT",
}
_LONG_NAMES = {
    "nws:temperature": (
        "temperature", "air temperature", "2 metre temperature", "2m temperature", "2 metre dewpoint temperature",
        "dew point temperature", "skin temperature",
    ),
    "nws:precipitation": ("total precipitation", "precipitation amount"),
    "nws:reflectivity": ("composite reflectivity", "base reflectivity", "reflectivity"),
    "snow": ("snow water equivalent", "snow depth water equivalent"),
    "snow_depth": ("snow depth",),
    "relief": (
        "elevation", "altitude", "topography", "bathymetry", "surface elevation", "surface altitude",
        "relief of the surface of the earth", "height above the sea", "height above sea level", "orography",
    ),
    "humidity": ("relative humidity",),
    "pressure": ("mean sea level pressure", "sea level pressure", "pressure reduced to msl"),
    "sea_temperature": ("sea surface temperature", "daily sea surface temperature"),
    "waves": ("significant wave height", "significant height of combined wind waves and swell"),
}  # fmt: skip
_ONLY_REFLECTIVITY = "dBZ"


def field_scale(info: RasterInfo) -> str | None:
    """Return the name of the color scale that suits the quantity in a raster. Return None if there is no such scale.

    Parameters
    ----------
    info : RasterInfo
        Metadata of the raster.
    """
    units = info.units
    if not info.mask_and_scale:  # the values are stored numbers
        return None
    return next((name for name in _candidates(info, units) if _suits(name, units)), None)


def _candidates(info: RasterInfo, units: str) -> Iterator[str]:
    standard, variable = info.standard_name.strip().lower(), str(info.description.get("variable", ""))
    long_name = str(info.description.get("long_name", "")).strip().lower()
    if "spread of " in long_name:  # the spread of temperatures is not a temperature
        return
    if variable.endswith(f", {DIFFERENCE}"):
        yield "anomaly"
        return
    if standard.endswith(_ANOMALY) or (not standard and long_name.endswith(_ANOMALIES)):
        yield "anomaly"
        return
    for tables, key in ((_STANDARD_NAMES, standard), (_STANDARD_NAMES, variable), (_GRIB_ELEMENTS, variable)):
        yield from (name for name, names in tables.items() if key in names.split())
    if not standard:
        yield from (name for name, names in _LONG_NAMES.items() if long_name in names)
    if unit_name(units) == _ONLY_REFLECTIVITY:
        yield "nws:reflectivity"


def _suits(name: str, units: str) -> bool:
    """Return True if the units of the raster can be converted to the units of a scale."""
    own = next(iter(scale_settings(name)))
    return not own or (bool(units) and conversion(units, own) is not None)
