// Numbers, places and times as people write them.

/** Return a place such as "39.74° N, 104.98° W". */
export function placeText([lon, lat]) {
  const wrapped = ((((lon + 180) % 360) + 360) % 360) - 180;
  const part = (value, positive, negative) => `${Math.abs(value).toFixed(2)}° ${value < 0 ? negative : positive}`;
  return `${part(lat, "N", "S")}, ${part(wrapped, "E", "W")}`;
}

/** Return a value with its units: four significant digits. */
export function valueText(value, units) {
  if (value == null) return "no data";
  if (typeof value === "string") return value;
  const digits = Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4));
  return `${digits.toLocaleString("en", { maximumFractionDigits: 10 })}${units ? ` ${units}` : ""}`.replace("-", "−");
}

/** Return a time in UTC, such as "Thu 6 Feb, 01:00 UTC". */
export function timeText(iso) {
  if (!iso) return "";
  const date = new Date(iso);
  const day = date.toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  const clock = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
  return `${day}, ${clock} UTC`;
}
