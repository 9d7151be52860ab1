// The map: OpenLayers with the images of the service.
import {
  Circle, Feature, Fill, ImageLayer, ImageWMS, Map, Point, ScaleLine, Stroke, Style, TileLayer, VectorLayer,
  VectorSource, View, XYZ, Zoom, fromExtent, getProjection, proj4, register, transform, transformExtent,
} from "./openlayers.js";
import { address, pauseBefore } from "./service.js";

const MERCATOR = "EPSG:3857";
const UNNAMED = "LOCAL:MAP"; // how the service names the CRS of the whole maps, if this CRS has no code
const DEGREES = "EPSG:4326";
const MERCATOR_LATITUDE = 85;
const MARGIN = 20; // in pixels
const BOX = new Style({ stroke: new Stroke({ color: "#b5412c", width: 1.5 }) });
const PROBE = new Style({
  image: new Circle({ radius: 5, fill: new Fill({ color: "#ffffff" }), stroke: new Stroke({ color: "#1f2429", width: 2 }) }),
});

/** A map of one product at one time. */
export class MapView {
  constructor(target, { onMove, onPoint, onClick, onLate, onBusy }) {
    this.marks = new VectorSource();
    this.image = null;
    this.late = new globalThis.Map(); // numbers of attempts for images that did not arrive
    this.onLate = onLate;
    this.map = new Map({
      target,
      keyboardEventTarget: `${target}-frame`, // a target that takes the focus would have to be clicked before it moves
      controls: [new Zoom(), new ScaleLine()],
      layers: [new VectorLayer({ source: this.marks, zIndex: 10 })],
      view: new View({ center: [0, 0], zoom: 2, constrainResolution: true, showFullExtent: true }),
    });
    this.map.on("moveend", onMove);
    this.map.on("loadstart", () => onBusy(true));
    this.map.on("loadend", () => onBusy(false));
    this.map.on("pointermove", (event) => event.dragging || onPoint(this.degrees(event.coordinate)));
    this.map.on("singleclick", (event) => onClick(this.degrees(event.coordinate)));
  }

  get projection() {
    return this.map.getView().getProjection().getCode();
  }

  /** Return longitude and latitude of a coordinate. */
  degrees(coordinate) {
    return transform(coordinate, this.projection, DEGREES);
  }

  /** Return center and zoom level for the address of the page. */
  get position() {
    const view = this.map.getView();
    const [lon, lat] = this.degrees(view.getCenter());
    return { lon: Number(lon.toFixed(4)), lat: Number(lat.toFixed(4)), zoom: Number(view.getZoom().toFixed(2)) };
  }

  /** Use the projection of a code. */
  useProjection(code) {
    if (code === this.projection) return;
    const extent = this.visible();
    this.map.setView(new View({ projection: code, center: [0, 0], zoom: 2, showFullExtent: true }));
    this.fit(extent);
    this.drop();
  }

  /** Return the visible limits in degrees: west, south, east and north. */
  visible() {
    return transformExtent(this.map.getView().calculateExtent(this.map.getSize()), this.projection, DEGREES, 8);
  }

  /**
   * Show limits in degrees.
   * `margin` is the space around them in pixels. If it is negative, strips of this width can be outside of the map.
   * `bottom` is the height of what covers the lower edge of the map, in pixels.
   */
  fit([west, south, east, north], { margin = MARGIN, bottom = 0 } = {}) {
    const limit = this.projection === MERCATOR ? MERCATOR_LATITUDE : 90;
    const extent = [west, Math.max(south, -limit), east, Math.min(north, limit)];
    this.map.getView().fit(transformExtent(extent, DEGREES, this.projection, 8), {
      padding: [margin, margin, margin + bottom, margin],
    });
  }

  /** Show a center in degrees and a zoom level. */
  place({ lon, lat, zoom }) {
    this.map.getView().setCenter(transform([lon, lat], DEGREES, this.projection));
    this.map.getView().setZoom(zoom);
  }

  /** Show images of a product. The old images stay until the new ones are complete. */
  show(run, product, time, layers) {
    const old = this.image;
    this.late.clear();
    this.image = this.projection === MERCATOR ? this.tiles(run, product, time, layers) : this.wms(run, product, time, layers);
    this.map.addLayer(this.image);
    if (old) this.map.once("rendercomplete", () => this.map.removeLayer(old));
  }

  /** Remove the images. */
  drop() {
    if (this.image) this.map.removeLayer(this.image);
    this.image = null;
  }

  tiles(run, product, time, layers) {
    const ratio = window.devicePixelRatio > 1 ? 2 : 1;
    const path = `tiles/${encodeURIComponent(product.name)}/{z}/{x}/{y}.png`;
    const url = address(run, path, { time, layers: layers.join(","), scale: ratio > 1 ? 2 : "" });
    const source = new XYZ({ url, tilePixelRatio: ratio, transition: 0, maxZoom: 18 });
    source.on("tileloaderror", ({ tile }) => this.again(tile, () => tile.load()));
    source.on("tileloadend", ({ tile }) => this.arrived(tile));
    const [west, south, east, north] = product.bounds;
    const limits = [west, Math.max(south, -MERCATOR_LATITUDE), east, Math.min(north, MERCATOR_LATITUDE)];
    const extent = east > 180 || west < -180 ? undefined : transformExtent(limits, DEGREES, MERCATOR);
    return new TileLayer({ source, extent });
  }

  wms(run, product, time, layers) {
    const names = layers.map((name) => (name === "raster" ? product.name : name)).join(",");
    const params = { LAYERS: names, FORMAT: "image/png", TRANSPARENT: "true", ...(time && { TIME: time }) };
    const imageLoadFunction = (image, address) => {
      const own = new URL(address);
      own.searchParams.set("CRS", product.crs || UNNAMED);
      image.getImage().src = own.href;
    };
    const source = new ImageWMS({ url: new URL(address(run, "wms"), document.baseURI).href, params, ratio: 1, imageLoadFunction });
    source.on("imageloaderror", () => this.again(source, () => source.refresh()));
    source.on("imageloadend", () => this.arrived(source));
    return new ImageLayer({ source });
  }

  /** Ask again for an image that did not arrive: after a pause, which grows with each attempt. */
  again(image, ask) {
    const attempt = (this.late.get(image) ?? 0) + 1;
    const pause = pauseBefore(attempt);
    this.late.set(image, attempt);
    this.onLate(this.late.size);
    if (pause !== null) setTimeout(ask, pause);
  }

  /** Forget that an image was late. */
  arrived(image) {
    if (this.late.delete(image)) this.onLate(this.late.size);
  }

  /** Mark the limits of a region, in degrees. Null: no region. */
  markRegion(bounds) {
    this.mark("region", bounds && fromExtent(bounds).transform(DEGREES, this.projection), BOX);
  }

  /** Mark a point in degrees. Null: no point. */
  markPoint(point) {
    this.mark("point", point && new Point(transform(point, DEGREES, this.projection)), PROBE);
  }

  mark(id, geometry, style) {
    const old = this.marks.getFeatureById(id);
    if (old) this.marks.removeFeature(old);
    if (!geometry) return;
    const feature = new Feature(geometry);
    feature.setId(id);
    feature.setStyle(style);
    this.marks.addFeature(feature);
  }
}

/** Return the name of the projection of the whole maps of a product. */
export const ownProjection = (product) => product.crs || `own ${product.proj4}`;

/** Make a projection known. Return false if the browser cannot compute it. `bounds` are the limits of the data in it. */
export function defineProjection(code, definition, bounds) {
  try {
    proj4.defs(code, definition);
    register(proj4);
    const center = [(bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2];
    const back = transform(transform(center, code, DEGREES), DEGREES, code);
    const size = Math.max(bounds[2] - bounds[0], bounds[3] - bounds[1]);
    getProjection(code).setExtent(bounds);
    return Math.hypot(back[0] - center[0], back[1] - center[1]) < size / 1000;
  } catch {
    return false;
  }
}

/** Return the box of a thumbnail in EPSG:3857, as text. The box has an aspect ratio of 3 to 2. */
export function thumbnailBox([west, south, east, north]) {
  const limits = [west, Math.max(south, -MERCATOR_LATITUDE), east, Math.min(north, MERCATOR_LATITUDE)];
  const [xmin, ymin, xmax, ymax] = transformExtent(limits, DEGREES, MERCATOR);
  const half = Math.max((xmax - xmin) / 2, ((ymax - ymin) / 2) * 1.5);
  const [x, y] = [(xmin + xmax) / 2, (ymin + ymax) / 2];
  return [x - half, y - half / 1.5, x + half, y + half / 1.5].map((number) => number.toFixed(1)).join(",");
}
