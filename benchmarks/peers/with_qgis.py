"""Draw with QGIS: an atlas over the regions in a print layout, exported by two processes without a display."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.update(QT_QPA_PLATFORM="offscreen", CPL_LOG="/dev/null")  # hides errors: QGIS tries to georeference PNGs

from qgis import core as q
from qgis.PyQt.QtCore import QRectF
from qgis.PyQt.QtGui import QColor, QFont
from task import Map, Task, fork, run

MILLIMETRES = 25.4


def cells(task: Task) -> q.QgsRasterLayer:
    """Return the raster layer with the colors of the classes."""
    layer = q.QgsRasterLayer(task.raster, "cells")
    ramp = q.QgsColorRampShader(0, 0, None, q.QgsColorRampShader.Discrete)
    tops = [*task.levels[1:-1], float("inf")]
    ramp.setColorRampItemList(
        [q.QgsColorRampShader.ColorRampItem(top, QColor(color)) for top, color in zip(tops, task.colors, strict=True)]
    )
    shader = q.QgsRasterShader()
    shader.setRasterShaderFunction(ramp)
    layer.setRenderer(q.QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader))
    return layer


def lines(layer: dict[str, object]) -> q.QgsVectorLayer:
    """Return a layer of borders."""
    vector = q.QgsVectorLayer(layer["path"], layer["name"], "ogr")
    symbol = q.QgsLineSymbol.createSimple(
        {"line_color": "black", "line_width": str(layer["points"]), "line_width_unit": "Point"}
    )
    vector.setRenderer(q.QgsSingleSymbolRenderer(symbol))
    return vector


def coverage(task: Task, maps: list[Map]) -> q.QgsVectorLayer:
    """Return a layer with the limits of the panels, as features with a name and a title."""
    layer = q.QgsVectorLayer("Polygon?field=name:string&field=title:string", "coverage", "memory")
    layer.setCrs(q.QgsCoordinateReferenceSystem.fromProj(task.crs))
    features = []
    for one in maps:
        feature = q.QgsFeature(layer.fields())
        feature.setAttributes([one.name, one.title])
        feature.setGeometry(q.QgsGeometry.fromRect(q.QgsRectangle(*one.panel)))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    return layer


def layout(task: Task, project: q.QgsProject, layers: list[q.QgsMapLayer]) -> q.QgsPrintLayout:
    """Return the print layout: the map, which the atlas moves, and the title."""
    sheet = q.QgsPrintLayout(project)
    sheet.initializeDefaults()
    sheet.renderContext().setDpi(task.dpi)
    unit = MILLIMETRES / task.dpi
    sheet.pageCollection().page(0).setPageSize(q.QgsLayoutSize(*(side * unit for side in task.sheet)))
    view = q.QgsLayoutItemMap(sheet)
    view.attemptSetSceneRect(QRectF(*(side * unit for side in task.panel)))
    view.setCrs(layers[0].crs())
    view.setLayers(layers)
    view.setBackgroundColor(QColor(task.background))
    view.setFrameEnabled(True)
    view.setAtlasDriven(True)
    view.setAtlasScalingMode(q.QgsLayoutItemMap.Auto)
    view.setAtlasMargin(0)
    sheet.addLayoutItem(view)
    title = q.QgsLayoutItemLabel(sheet)
    title.setText("[% title %]")
    title.setFont(QFont("DejaVu Sans", 14))
    title.attemptSetSceneRect(QRectF(task.panel[0] * unit, 2, 150, task.panel[1] * unit - 2))
    sheet.addLayoutItem(title)
    return sheet


def start(task: Task) -> q.QgsApplication:
    """Start QGIS, with a profile beside the other prepared files."""
    os.environ.update(QGIS_CUSTOM_CONFIG_PATH=str(Path(task.raster).with_name("qgis")))
    application = q.QgsApplication([], False)
    application.initQgis()
    return application


def prepare(task: Task, _folder: Path) -> None:
    """Start QGIS once, so that it makes its profile."""
    start(task).exitQgis()


def draw(task: Task, folder: Path) -> None:
    """Draw all maps."""

    def draw_some(maps: list[Map]) -> None:
        _application = start(task)
        project = q.QgsProject()
        regions = coverage(task, maps)
        layers = [*(lines(layer) for layer in reversed(task.layers)), cells(task)]
        for layer in layers:
            layer.setCrs(regions.crs())
        project.addMapLayers([regions, *layers])
        sheet = layout(task, project, layers)
        atlas = sheet.atlas()
        atlas.setCoverageLayer(regions)
        atlas.setEnabled(True)
        atlas.setFilenameExpression('"name"')
        settings = q.QgsLayoutExporter.ImageExportSettings()
        settings.dpi = task.dpi
        settings.exportMetadata = settings.generateWorldFile = False
        result, problem = q.QgsLayoutExporter.exportToImage(atlas, f"{folder}/atlas", "png", settings)
        if result != q.QgsLayoutExporter.Success:
            raise SystemExit(problem)

    fork(task, draw_some)


run(draw, prepare)
