// The state of the page, which the address of the page holds.

const NUMBERS = ["lon", "lat", "zoom"];
const NAMES = ["product", "time", "region", "projection", "hidden"];

/** Return the state in the address of the page. */
export function readState() {
  const query = new URLSearchParams(location.search);
  const state = Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ""]));
  for (const name of NUMBERS) {
    const number = Number.parseFloat(query.get(name));
    state[name] = Number.isFinite(number) ? number : null;
  }
  return state;
}

/** Put the state into the address of the page. The browser's history gets no new entry. */
export function writeState(state) {
  const query = new URLSearchParams();
  for (const name of NAMES) if (state[name]) query.set(name, state[name]);
  for (const name of NUMBERS) if (state[name] != null) query.set(name, String(state[name]));
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}
