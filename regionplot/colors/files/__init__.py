"""Read color files of other programs: GMT, GDAL, QGIS, ArcGIS and ParaView."""

from regionplot.colors.files.base import read_color_file

__all__ = ["read_color_file"]
