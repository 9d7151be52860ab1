// The list of regions, and the whole map of a region.
import { thumbnailBox } from "./map.js";
import { address, showImage } from "./service.js";

const THUMBNAIL = { width: 168, height: 112, crs: "EPSG:3857", dpi: 60 };
const MANY = 12; // regions, from which a narrow screen shows the search
const byId = (id) => document.getElementById(id);

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** The list of regions. */
export class RegionList {
  constructor({ onChoose, onWhole }) {
    this.items = new Map();
    this.onChoose = onChoose;
    this.onWhole = onWhole;
    byId("search").addEventListener("input", () => this.filter());
  }

  /** List regions, if they differ from those in the list. */
  list(regions) {
    const same = regions.length === this.items.size && regions.every(({ name, title }) => this.items.get(name)?.title === title);
    if (!same) {
      this.items = new Map(regions.map((region) => [region.name, this.item(region)]));
      byId("regions").replaceChildren(...[...this.items.values()].map(({ row }) => row));
    }
    const nav = document.querySelector("nav");
    nav.hidden = regions.length === 0;
    nav.classList.toggle("long", regions.length > MANY);
    this.filter();
  }

  item(region) {
    const image = make("img", { alt: "", loading: "lazy", decoding: "async", width: 84, height: 56 });
    const button = make("button", { type: "button", className: "region", title: region.title }, image, make("span", { textContent: region.title, dir: "auto" }));
    const whole = make("button", { type: "button", className: "whole", textContent: "⤢", title: "Whole map" });
    whole.setAttribute("aria-label", `Whole map of ${region.title}`);
    button.addEventListener("click", () => this.onChoose(region.name));
    whole.addEventListener("click", () => this.onWhole(region.name));
    return { title: region.title, region, image, button, row: make("li", {}, button, whole) };
  }

  /** Draw the thumbnails of a product at a time. */
  draw(run, product, time) {
    for (const { image, region } of this.items.values()) {
      const bbox = thumbnailBox(region.bounds);
      showImage(image, address(run, "map", { product: product.name, time, bbox, ...THUMBNAIL }));
    }
  }

  /** Mark the chosen region, and move it into view. */
  choose(name) {
    for (const [each, { button }] of this.items) button.setAttribute("aria-current", String(each === name));
    this.items.get(name)?.row.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /** Return the name of the region `step` places after a region, among those that are listed. */
  neighbor(name, step) {
    const names = [...this.items].filter(([, { row }]) => !row.hidden).map(([each]) => each);
    if (!names.length) return "";
    const index = names.indexOf(name);
    return names[index < 0 ? 0 : (index + step + names.length) % names.length];
  }

  filter() {
    const text = byId("search").value.trim().toLowerCase();
    for (const [name, { row, title }] of this.items) row.hidden = !`${title} ${name}`.toLowerCase().includes(text);
    byId("no-regions").hidden = [...this.items.values()].some(({ row }) => !row.hidden);
  }
}

/** Show the whole map of a region, with links to its files. */
export function showWhole(run, catalog, region, product, time) {
  const file = (format) => address(run, `regions/${encodeURIComponent(region.name)}.${format}`, { product: product.name, time });
  const links = catalog.formats.map((format) =>
    make("a", { href: file(format), download: `${region.name}.${format}`, textContent: format.toUpperCase() }),
  );
  byId("sheet-title").textContent = region.title;
  byId("sheet-links").replaceChildren("Download: ", ...links);
  byId("sheet-frame").href = file("png");
  byId("sheet-note").textContent = "";
  const image = byId("sheet-image");
  Object.assign(image, { alt: `${product.long_name}, ${region.title}`, width: catalog.size[0], height: catalog.size[1] });
  showImage(image, file("png"), () => (byId("sheet-note").textContent = "There is no map of this region for this product."));
  if (!byId("sheet").open) byId("sheet").showModal();
}
