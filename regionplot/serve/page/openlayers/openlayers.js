// What page.js imports. `npm run build` bundles it into ../openlayers.js.
export { default as Feature } from "ol/Feature.js";
export { default as GeoJSON } from "ol/format/GeoJSON.js";
export { default as ImageLayer } from "ol/layer/Image.js";
export { default as ImageWMS } from "ol/source/ImageWMS.js";
export { default as Map } from "ol/Map.js";
export { default as Point } from "ol/geom/Point.js";
export { default as ScaleLine } from "ol/control/ScaleLine.js";
export { default as TileLayer } from "ol/layer/Tile.js";
export { default as VectorLayer } from "ol/layer/Vector.js";
export { default as VectorSource } from "ol/source/Vector.js";
export { default as View } from "ol/View.js";
export { default as XYZ } from "ol/source/XYZ.js";
export { default as Zoom } from "ol/control/Zoom.js";
export { Circle, Fill, Stroke, Style } from "ol/style.js";
export { fromExtent } from "ol/geom/Polygon.js";
export { get as getProjection, transform, transformExtent } from "ol/proj.js";
export { register } from "ol/proj/proj4.js";
export { default as proj4 } from "proj4";
