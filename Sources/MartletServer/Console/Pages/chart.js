// A small chart of the last two minutes: one line a series, the newest value in figures.

import { drawn, make, say } from "./dom.js";

export const SAMPLES = 120;
const WIDTH = 240;
const HEIGHT = 56;

/// A number at or above the greatest value that is pleasant to read.
function ceiling(greatest) {
  if (!(greatest > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(greatest));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= greatest * 0.999);
}

export class Chart {
  /// `format` makes text of a value. `note` is one line below the title.
  constructor({ title, format, note, least = 0, steps = ceiling }) {
    this.format = format;
    this.least = least;
    this.steps = steps;
    this.series = new Map();
    this.lines = drawn("g");
    this.cursor = drawn("line", { y1: 0, y2: HEIGHT, class: "cursor", visibility: "hidden" });
    this.svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.svg.append(
      drawn("line", { x1: 0, x2: WIDTH, y1: 0.5, y2: 0.5, class: "grid" }),
      drawn("line", { x1: 0, x2: WIDTH, y1: HEIGHT / 2, y2: HEIGHT / 2, class: "grid" }),
      drawn("line", { x1: 0, x2: WIDTH, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5, class: "base" }), this.lines, this.cursor);
    this.top = make("span.top-value");
    this.legend = make("dl.legend");
    this.note = make("span.quiet", {}, note ?? "");
    const plot = make("div.plot", {}, this.svg, this.top);
    this.element = make("figure.chart.panel", {},
      make("figcaption", {}, make("h3", {}, title), this.note), this.legend, plot);
    this.element.dataset.chart = title;
    plot.onpointermove = (event) => {
      const box = plot.getBoundingClientRect();
      this.looked = Math.round(((event.clientX - box.left) / box.width) * (SAMPLES - 1));
      this.draw();
    };
    plot.onpointerleave = () => {
      this.looked = undefined;
      this.draw();
    };
  }

  /// The values of one moment by series; a series that has none now has a gap.
  add(values) {
    for (const [name, { value, color, main }] of Object.entries(values)) {
      if (!this.series.has(name)) this.series.set(name, this.begin(name, color, main));
      this.series.get(name).next = value ?? null;
    }
    for (const [name, series] of this.series) {
      series.values.push(series.next ?? null);
      series.next = null;
      if (series.values.length > SAMPLES) series.values.shift();
      if (series.values.every((value) => value === null)) this.end(name, series);
    }
    this.draw();
  }

  begin(name, color, main) {
    const line = drawn("path", { class: main ? "line main" : "line" });
    line.style.stroke = `var(--${color})`;
    const area = main ? drawn("path", { class: "area" }) : null;
    if (area) {
      area.style.fill = `var(--${color})`;
      this.lines.append(area);
    }
    this.lines.append(line);
    const key = make("i");
    key.style.background = `var(--${color})`;
    const value = make("dd");
    const entry = make("div", {}, make("dt", {}, key, name), value);
    this.legend.append(entry);
    return { values: [], line, area, value, entry, next: null };
  }

  end(name, series) {
    series.line.remove();
    series.area?.remove();
    series.entry.remove();
    this.series.delete(name);
  }

  draw() {
    const all = [...this.series.values()];
    const greatest = this.steps(Math.max(this.least, ...all.flatMap((series) => series.values.map((v) => v ?? 0))));
    say(this.top, this.format(greatest).replace(/\.0+(?!\d)/, ""));
    const looked = this.looked === undefined ? SAMPLES - 1 : Math.min(SAMPLES - 1, Math.max(0, this.looked));
    for (const series of all) {
      const first = SAMPLES - series.values.length;
      // One line between each two gaps.
      const runs = [];
      series.values.forEach((value, place) => {
        if (value === null) return;
        if (place === 0 || series.values[place - 1] === null) runs.push([]);
        const x = ((first + place) / (SAMPLES - 1)) * WIDTH;
        const y = HEIGHT - 1 - (Math.min(value, greatest) / greatest) * (HEIGHT - 3);
        runs.at(-1).push(`${x.toFixed(1)} ${y.toFixed(1)}`);
      });
      // A single point is seen, too.
      series.line.setAttribute("d", runs.map((run) => `M${run.join("L")}h.01`).join(""));
      const below = (point) => `${point.split(" ")[0]} ${HEIGHT}`;
      series.area?.setAttribute("d", runs.map((run) =>
        `M${below(run[0])}L${run.join("L")}L${below(run.at(-1))}Z`).join(""));
      say(series.value, this.format(series.values[looked - first] ?? null));
    }
    this.cursor.setAttribute("visibility", this.looked === undefined ? "hidden" : "visible");
    this.cursor.setAttribute("x1", (looked / (SAMPLES - 1)) * WIDTH);
    this.cursor.setAttribute("x2", (looked / (SAMPLES - 1)) * WIDTH);
  }
}

/// The same in powers of two, for bytes.
export function ceilingOfBytes(greatest) {
  let step = 1024;
  while (step < greatest * 0.999) step *= 2;
  return step;
}
