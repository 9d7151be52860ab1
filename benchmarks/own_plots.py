"""The plot of `baseline.py` as functions for `[map] draw`: ported to shared data, and unchanged."""

from __future__ import annotations

import cartopy.crs as ccrs
import matplotlib.pyplot as plt
from cartopy.feature import ShapelyFeature
from cartopy.io.shapereader import Reader
from inputs import LAYERS, LEVELS
from matplotlib.colors import BoundaryNorm

_GRID = ccrs.LambertConformal()


def ported(shared, region):
    """Draw the cells at the pixels, and the lines on the map."""
    figure, axes, colors, norm = _figure(shared, region)
    mesh = shared.pcolormesh(axes, cmap=colors, norm=norm)
    for layer in shared.config.layers.get("features", ()):
        name = layer.path.stem
        axes.add_feature(shared.lines(name, axes).feature, linewidth=LAYERS[name])
    return _finish(figure, axes, mesh, region)


def unchanged(shared, region):
    """Draw the whole grid and all lines."""
    figure, axes, colors, norm = _figure(shared, region)
    mesh = axes.pcolormesh(*shared.meshgrid, shared.raster.data, cmap=colors, norm=norm, transform=_GRID)
    for name, feature in shared.extra.items():
        axes.add_feature(feature, linewidth=LAYERS[name])
    return _finish(figure, axes, mesh, region)


def load(shared):
    """Read the vector files as cartopy does."""
    paths = [layer.path for layer in shared.config.layers.get("features", ())]
    style = {"facecolor": "none", "edgecolor": "black"}
    return {path.stem: ShapelyFeature(list(Reader(path).geometries()), _GRID, **style) for path in paths}


def _figure(shared, region):
    width, height = shared.config.map.size
    figure = plt.figure(figsize=(width / 100, height / 100), dpi=100)
    axes = figure.add_subplot(projection=_GRID)
    limits = region.extent
    axes.set_extent((limits.xmin, limits.xmax, limits.ymin, limits.ymax), crs=_GRID)
    colors = plt.get_cmap("turbo", len(LEVELS) - 1)
    return figure, axes, colors, BoundaryNorm(LEVELS, colors.N)


def _finish(figure, axes, mesh, region):
    axes.set_title(f"Snowfall {region.name}", loc="left")
    figure.colorbar(mesh, ax=axes, orientation="horizontal", ticks=LEVELS, aspect=80, pad=0.03, label="Snowfall (in)")
    return figure
