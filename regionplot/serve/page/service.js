// Requests to the service. All addresses are relative to the page, so that a proxy can offer it under any path.

/** The data or the run of an address are no longer loaded. */
export class GoneError extends Error {}

/** The service cannot answer now: it is busy, or it has no data yet. */
export class BusyError extends Error {}

async function json(address, options = {}) {
  const response = await fetch(address, options);
  if (response.status === 410) throw new GoneError(address);
  if (response.status === 503) throw new BusyError(address);
  if (!response.ok) throw new Error(`${response.status} ${address}`);
  return response.json();
}

/** Return what the service offers: products, times, layers and regions. */
export const readCatalog = () => json("catalog", { cache: "no-store" });

/** Return the id of the data that the service uses now. */
export const readRun = async () => (await json("ready", { cache: "no-store" })).run;

/** Return an address that names the run, with parameters. Empty parameters are left out. */
export function address(run, path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value != null);
  const query = new URLSearchParams(given).toString();
  return `v/${run}/${path}${query ? `?${query}` : ""}`;
}

const ATTEMPTS = 6;
const RETRY_MILLISECONDS = 1000;
const GROWTH = 1.6; // each pause is longer than the last one by this factor

/** Return the pause in milliseconds before an image is asked for again, or null after too many attempts. */
export function pauseBefore(attempt) {
  return attempt > ATTEMPTS ? null : RETRY_MILLISECONDS * GROWTH ** (attempt - 1);
}

/** Show an image. If the service is busy, ask again. `onFail` is called after the last attempt. */
export function showImage(image, source, onFail = () => {}) {
  let attempt = 0;
  image.onload = () => image.removeAttribute("data-waiting");
  image.onerror = () => {
    const pause = pauseBefore(++attempt);
    const ask = () => image.dataset.waiting === source && (image.src = source);
    if (pause === null) onFail();
    else setTimeout(ask, pause);
  };
  image.dataset.waiting = source;
  image.src = source;
}

/** Return the value at a point in degrees. */
export function readValue(run, product, time, [lon, lat], signal) {
  const point = { product, time, lon: lon.toFixed(6), lat: lat.toFixed(6) };
  return json(address(run, "value", point), { signal });
}

/** Return the values of a product at a point, at the times from the given one: CoverageJSON. */
export function readSeries(run, product, start, [lon, lat], signal) {
  const coords = `POINT(${lon.toFixed(6)} ${lat.toFixed(6)})`;
  return json(address(run, `ogc/collections/${encodeURIComponent(product)}/position`, { coords, datetime: `${start}/..` }), { signal });
}
