// The page: it reads the catalog, keeps the state, and tells the map and the list what to show.
import { MapView, defineProjection, ownProjection } from "./map.js";
import { RegionList, showWhole } from "./regions.js";
import { showSeries } from "./series.js";
import { BusyError, GoneError, address, readCatalog, readRun, readValue, showImage } from "./service.js";
import { readState, writeState } from "./state.js";
import { placeText, timeText, valueText } from "./text.js";

const POLL_MILLISECONDS = 3000;
const POINT_MILLISECONDS = 80;
const PLAY_MILLISECONDS = 900;
const PROGRESS_MILLISECONDS = 300;
const MERCATOR = "EPSG:3857";
const STRIP = 20; // pixels of the data that can be outside of the map at first
const byId = (id) => document.getElementById(id);

const state = readState();
const list = new RegionList({ onChoose: chooseRegion, onWhole: showRegion });
let catalog;
let point = null;
let request = new AbortController();
let pointTimer = 0;
let playTimer = 0;
let progressTimer = 0;
let hasFailed = false;

const map = new MapView("map", { onMove: savePlace, onPoint: askValue, onClick: choosePoint, onLate: showLate, onBusy: showProgress });

const product = () => catalog.products.find(({ name }) => name === state.product) ?? catalog.products[0];
const times = () => product().times.map(({ time }) => time);
const shownTime = () => (times().includes(state.time) ? state.time : product().default_time);
const hidden = () => new Set(state.hidden.split(",").filter(Boolean));
const region = (name) => catalog.regions.find((each) => each.name === name);

/** Fill a selection with pairs of a value and a text. */
function fill(id, options, chosen) {
  byId(id).replaceChildren(...options.map(([value, text]) => new Option(text, value, false, value === chosen)));
}

/** Show everything that depends on the catalog. */
function showCatalog() {
  document.title = catalog.title;
  byId("title").textContent = catalog.title;
  byId("attribution").textContent = catalog.attribution;
  fill("product", catalog.products.map(({ name, title, long_name }) => [name, title || long_name]), product().name);
  byId("product-choice").hidden = catalog.products.length < 2;
  list.list(catalog.regions);
  showProduct();
}

/** Show the product of the state: its times, layers and images. */
function showProduct() {
  const found = product();
  fill("time", found.times.map(({ time }) => [time, timeText(time) || "unknown"]), shownTime());
  byId("time-choice").hidden = !shownTime();
  for (const id of ["earlier", "later", "play"]) byId(id).hidden = found.times.length < 2;
  showProjections(found);
  showLayers();
  showProjection();
  showImages();
}

/** List Web Mercator, and the CRS of the maps of regions. */
function showProjections(found) {
  const code = ownProjection(found);
  const isKnown = code !== MERCATOR && defineProjection(code, found.proj4, found.own_bounds);
  const value = found.crs || "own";
  const own = new Option(found.crs || "As in the whole maps", value, false, value === state.projection);
  own.disabled = !isKnown;
  if (!isKnown) own.text += " (not possible in a browser)";
  byId("projection").replaceChildren(new Option("Web Mercator", ""), ...(code === MERCATOR ? [] : [own]));
  byId("projection-choice").hidden = code === MERCATOR;
}

function showProjection() {
  map.useProjection(byId("projection").value ? ownProjection(product()) : MERCATOR);
}

function showLayers() {
  const off = hidden();
  const rows = product().layers.map((name) => {
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: !off.has(name), value: name });
    const label = document.createElement("label");
    label.append(box, ` ${name === "raster" ? product().long_name : name}`);
    return label;
  });
  byId("layer-list").replaceChildren(...rows);
  byId("layers").hidden = rows.length < 2;
}

/** Show the images of the product, time and layers of the state. */
function showImages() {
  const [found, time] = [product(), shownTime()];
  const off = hidden();
  map.show(catalog.run, found, time, found.layers.filter((name) => !off.has(name)));
  list.draw(catalog.run, found, time);
  const legend = byId("legend-image");
  showImage(legend, address(catalog.run, `legend/${encodeURIComponent(found.name)}.png`, { time, width: 420 }));
  legend.alt = `Colors of ${found.long_name}${found.units ? ` in ${found.units}` : ""}`;
  byId("time").value = time;
  if (point) showPoint();
}

/** Show a bar while images are loaded, unless they arrive at once. */
function showProgress(isBusy) {
  clearTimeout(progressTimer);
  if (isBusy) progressTimer = setTimeout(() => (byId("progress").hidden = false), PROGRESS_MILLISECONDS);
  else byId("progress").hidden = true;
}

/** Say that images are missing, and look for newer data. */
function showLate(count) {
  byId("late").textContent = count ? "Some images are late. Trying again …" : "";
  if (count) followRun();
}

/** Show the legend, unless the product has none: then its image is a single pixel. */
function showLegend() {
  byId("legend").hidden = byId("legend-image").naturalWidth <= 1;
}

/** Return the height of the legend, which covers the lower edge of the map. */
const covered = () => byId("legend").hidden ? 0 : byId("map").clientHeight - byId("legend").offsetTop;

function savePlace() {
  if (!catalog) return;
  Object.assign(state, map.position);
  writeState(state);
}

/** Choose a region: the map moves there. */
function chooseRegion(name) {
  const found = region(name);
  if (!found) return;
  state.region = name;
  list.choose(name);
  map.markRegion(found.bounds);
  map.fit(found.bounds, { bottom: covered() });
  writeState(state);
}

function showRegion(name) {
  const found = region(name);
  if (found) showWhole(catalog.run, catalog, found, product(), shownTime());
}

/** Ask for the value under the pointer, when it has rested for a moment. */
function askValue(place) {
  clearTimeout(pointTimer);
  pointTimer = setTimeout(() => showValue(place), POINT_MILLISECONDS);
}

async function showValue(place) {
  request.abort();
  request = new AbortController();
  try {
    const found = await readValue(catalog.run, product().name, shownTime(), place, request.signal);
    const value = Object.assign(document.createElement("b"), { textContent: valueText(found.value, product().units) });
    byId("readout").replaceChildren(value, placeText(place));
  } catch (error) {
    if (error instanceof GoneError) followRun();
    else if (error instanceof BusyError) byId("readout").textContent = `${placeText(place)}: the service is busy`;
    else if (error.name !== "AbortError") byId("readout").textContent = placeText(place);
  }
}

function choosePoint(place) {
  point = place;
  showPoint();
}

async function showPoint() {
  map.markPoint(point);
  await showValue(point);
  await showSeries(catalog.run, product(), shownTime(), point, request.signal);
}

function forgetPoint() {
  point = null;
  map.markPoint(null);
  byId("series").hidden = true;
  byId("readout").replaceChildren();
}

/** Use the newest data, if the service has new ones. */
async function followRun() {
  try {
    if ((await readRun()) === catalog.run) {
      if (hasFailed) byId("news").textContent = "";
      hasFailed = false;
      return;
    }
    const old = shownTime();
    catalog = await readCatalog();
    showCatalog();
    const now = shownTime();
    byId("news").textContent = now && now !== old ? `New data: ${timeText(now)}` : `Updated at ${new Date().toLocaleTimeString()}`;
  } catch {
    hasFailed = true;
    byId("news").textContent = "The service does not answer. Trying again …";
  }
}

function stepTime(step) {
  const all = times();
  const next = (all.indexOf(shownTime()) + step + all.length) % all.length;
  state.time = all[next];
  writeState(state);
  showImages();
}

function togglePlay() {
  const isPlaying = byId("play").getAttribute("aria-pressed") === "true";
  clearInterval(playTimer);
  if (!isPlaying && times().length > 1) playTimer = setInterval(stepTime, PLAY_MILLISECONDS, 1);
  byId("play").setAttribute("aria-pressed", String(!isPlaying));
  byId("play").textContent = isPlaying ? "▶" : "⏸";
}

const KEYS = {
  j: () => chooseRegion(list.neighbor(state.region, 1)),
  k: () => chooseRegion(list.neighbor(state.region, -1)),
  "[": () => stepTime(-1),
  "]": () => stepTime(1),
  p: togglePlay,
  v: () => choosePoint(Object.values(map.position).slice(0, 2)),
  "/": () => byId("search").focus(),
  "?": () => byId("keys").showModal(),
  Escape: forgetPoint,
  Enter: () => showRegion(state.region),
};

function onKey(event) {
  if (document.querySelector("dialog[open]")) return;
  const isTyping = event.target.closest("a, input, select, button, summary") && event.key !== "Escape";
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
}

function listen() {
  byId("product").addEventListener("change", ({ target }) => {
    Object.assign(state, { product: target.value, hidden: "" });
    writeState(state);
    showProduct();
  });
  byId("time").addEventListener("change", ({ target }) => {
    state.time = target.value === product().default_time ? "" : target.value;
    writeState(state);
    showImages();
  });
  byId("projection").addEventListener("change", ({ target }) => {
    state.projection = target.value;
    showProjection();
    showImages();
    map.markRegion(region(state.region)?.bounds ?? null);
    savePlace();
  });
  byId("layer-list").addEventListener("change", () => {
    const off = [...byId("layer-list").querySelectorAll("input:not(:checked)")].map(({ value }) => value);
    state.hidden = off.join(",");
    writeState(state);
    showImages();
  });
  byId("earlier").addEventListener("click", () => stepTime(-1));
  byId("later").addEventListener("click", () => stepTime(1));
  byId("play").addEventListener("click", togglePlay);
  byId("help").addEventListener("click", () => byId("keys").showModal());
  byId("series-close").addEventListener("click", forgetPoint);
  byId("legend-image").addEventListener("load", showLegend);
  for (const id of ["sheet", "keys"]) byId(`${id}-close`).addEventListener("click", () => byId(id).close());
  document.addEventListener("keydown", onKey);
  setInterval(() => document.hidden || followRun(), POLL_MILLISECONDS);
}

/**
 * Move the map to the place of the address: a position, a region, or the whole data.
 * Zoom levels are whole numbers, so a margin around the data could halve their size. The legend covers only a corner.
 */
function showPlace() {
  const { lon, lat, zoom } = state;
  if (state.region) chooseRegion(state.region);
  if (zoom != null && lon != null && lat != null) map.place({ lon, lat, zoom });
  else if (!region(state.region)) map.fit(product().bounds, { margin: -STRIP });
}

/** Read the catalog. Wait as long as the service has no data. */
async function start() {
  try {
    catalog = await readCatalog();
  } catch {
    byId("news").textContent = "Waiting for data …";
    setTimeout(start, POLL_MILLISECONDS);
    return;
  }
  byId("news").textContent = "";
  byId("progress").hidden = true;
  byId("legend").hidden = false;
  const place = { ...state };
  showCatalog();
  Object.assign(state, place);
  showPlace();
  listen();
}

start();
