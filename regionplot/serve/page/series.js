// The chart of the values at a point over time.
import { readSeries } from "./service.js";
import { placeText, timeText, valueText } from "./text.js";

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [360, 170, 52, 10, 8, 22];
const MAX_TIMES = 240; // of one answer of the service
const MAX_DOTS = 50; // with more points, the line alone is easier to read
const STEPS = [1, 2, 5, 10];

function shape(name, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

/** Return a function that maps numbers from one range to another. */
function scale(low, high, start, end) {
  const span = high - low || 1;
  return (value) => start + ((value - low) / span) * (end - start);
}

/** Return two to five round numbers between two numbers. */
function niceLevels(low, high) {
  if (high === low) return [low];
  const least = (high - low) / 4;
  const unit = 10 ** Math.floor(Math.log10(least));
  const step = STEPS.find((each) => each * unit >= least) * unit;
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, index) => (first + index) * step);
}

/** Return the shapes of a chart. `points` are pairs of a time in milliseconds and a number. */
function chart(points, units, chosen) {
  const numbers = points.map(([, value]) => value);
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const x = scale(points[0][0], points.at(-1)[0], LEFT, WIDTH - RIGHT);
  const y = scale(low, high === low ? low + 1 : high, HEIGHT - BOTTOM, TOP);
  const levels = niceLevels(low, high);
  const clock = (time) => timeText(new Date(time).toISOString()).replace(/ \d{4},/, ",").replace(" UTC", "");
  const shapes = levels.flatMap((level) => [
    shape("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(level), y2: y(level) }),
    shape("text", { x: LEFT - 6, y: y(level) + 4, "text-anchor": "end" }, valueText(level, "")),
  ]);
  shapes.push(shape("path", { class: "line", d: `M${points.map(([time, value]) => `${x(time)} ${y(value)}`).join("L")}` }));
  for (const [time, value] of points) {
    if (points.length > MAX_DOTS && time !== chosen) continue;
    const dot = shape("circle", { class: time === chosen ? "now" : "dot", r: time === chosen ? 5 : 3, cx: x(time), cy: y(value) });
    dot.append(shape("title", {}, `${clock(time)}: ${valueText(value, units)}`));
    shapes.push(dot);
  }
  shapes.push(shape("text", { x: LEFT, y: HEIGHT - 5 }, clock(points[0][0])));
  shapes.push(shape("text", { x: WIDTH - RIGHT, y: HEIGHT - 5, "text-anchor": "end" }, clock(points.at(-1)[0])));
  return shapes;
}

/** Show the values of a product at a point. The chart stays hidden if fewer than two times have a number there. */
export async function showSeries(run, product, time, point, signal) {
  const section = document.getElementById("series");
  if (product.times.length < 2) return;
  let coverage;
  try {
    coverage = await readSeries(run, product.name, product.times.at(-MAX_TIMES)?.time ?? product.times[0].time, point, signal);
  } catch {
    section.hidden = true; // another point was chosen, the data were replaced, or the service is busy
    return;
  }
  const { values } = coverage.ranges[product.name];
  const points = coverage.domain.axes.t.values.map((each, index) => [Date.parse(each), values[index]]);
  const numbers = points.filter(([, value]) => typeof value === "number");
  section.hidden = numbers.length < 2;
  if (section.hidden) return;
  const units = product.units ? ` (${product.units})` : "";
  document.getElementById("series-title").textContent = `${product.long_name}${units} at ${placeText(point)}`;
  const chosen = Date.parse(time || product.default_time);
  document.getElementById("series-chart").replaceChildren(...chart(numbers, product.units, chosen));
}
