// Made by scripts/embed-console of the files in Console/Pages: change those, and run it.

extension ConsoleFiles {
    static let all: [ConsoleFile] = [
        ConsoleFile(
            "api.js",
            ###"""
// What the page asks of the member that it came from: the JSON gateway of etcd, and /console/data. Paths are relative,
// so that the page works behind a proxy that adds a path of its own.

const GATEWAY = new URL("../v3/", document.baseURI);

export class Refusal extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

/// One call of the gateway.
export async function call(path, body) {
  let answer;
  try {
    answer = await fetch(new URL(path, GATEWAY), {
      method: "POST", body: JSON.stringify(body), cache: "no-store", credentials: "same-origin",
    });
  } catch {
    throw new Refusal("the member does not answer", 14);
  }
  const text = await answer.text();
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Refusal(text.trim() || `HTTP status ${answer.status}`, 2);
  }
  if (!answer.ok) throw new Refusal(json.message || json.error || `HTTP status ${answer.status}`, json.code ?? 2);
  return json;
}

/// A call whose answers come one a line; `take` is given each. Ends when the server ends it, or by the signal.
export async function stream(path, body, signal, take) {
  const answer = await fetch(new URL(path, GATEWAY), {
    method: "POST", body: JSON.stringify(body), cache: "no-store", credentials: "same-origin", signal,
  });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.trim()) continue;
      const json = JSON.parse(line);
      if (json.error) throw new Refusal(json.error.message ?? String(json.error), json.error.grpc_code ?? 2);
      take(json.result);
    }
  }
}

/// What a member says of itself: this one, or the one whose client URL is given.
export async function data(origin, patience) {
  const url = origin ? new URL("console/data", origin.endsWith("/") ? origin : origin + "/") : "data";
  const answer = await fetch(url, {
    cache: "no-store", credentials: origin ? "omit" : "same-origin", signal: AbortSignal.timeout(patience),
  });
  if (!answer.ok) throw new Refusal(`HTTP status ${answer.status}`, 2);
  return answer.json();
}

// Bytes: the gateway has them in Base64, and a key's Base64 is its name within the page.

export function bytesOf(base64) {
  const text = atob(base64 ?? "");
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place += 1) bytes[place] = text.charCodeAt(place);
  return bytes;
}

export function base64Of(bytes) {
  let text = "";
  for (let place = 0; place < bytes.length; place += 8192) {
    text += String.fromCharCode(...bytes.subarray(place, place + 8192));
  }
  return btoa(text);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const encoded = (text) => encoder.encode(text);

/// The bytes as text; null where they are none.
export function textOf(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

/// One line that shows any bytes: what is no text, or would not be seen, as \xNN. Direction marks would have a key look
/// like another one.
export function shown(bytes) {
  const text = textOf(bytes);
  if (text !== null) {
    return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (found) =>
      Array.from(encoded(found), hexadecimal).join(""));
  }
  return Array.from(bytes, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : hexadecimal(byte)))
    .join("");
}

const hexadecimal = (byte) => "\\x" + byte.toString(16).padStart(2, "0");

/// Where the keys with a prefix end, as `range_end` has it.
export function endOf(prefix) {
  for (let place = prefix.length - 1; place >= 0; place -= 1) {
    if (prefix[place] < 0xff) {
      const end = prefix.slice(0, place + 1);
      end[place] += 1;
      return end;
    }
  }
  return new Uint8Array([0]);
}

/// `key` and `range_end` of all keys that begin with a prefix.
export function rangeOf(prefix) {
  const key = prefix.length ? prefix : new Uint8Array([0]);
  return { key: base64Of(key), range_end: base64Of(endOf(prefix)) };
}

"""###),
        ConsoleFile(
            "chart.js",
            ###"""
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

"""###),
        ConsoleFile(
            "console.css",
            ###"""
:root {
  color-scheme: light dark;
  --paper: #f5f4f0;
  --panel: #fffefb;
  --sunk: #f1efe9;
  --ink: #1d2026;
  --quiet: #6a6e77;
  --line: #e3e0d8;
  --accent: #27408f;
  --accent-ink: #ffffff;
  --good: #1d7a4c;
  --fair: #a15c07;
  --bad: #b3261e;
  --good-back: #e3f3ea;
  --fair-back: #fdf0da;
  --bad-back: #fbe6e4;
  --member-1: #2f6bd8;
  --member-2: #d4781c;
  --member-3: #1f9469;
  --member-4: #8a55c4;
  --member-5: #c8466b;
  --member-6: #1594a5;
  --member-7: #86683f;
  --member-8: #6b7280;
  --series-1: #27408f;
  --series-2: #d4781c;
  --series-3: #b3261e;
  --mono: ui-monospace, "SF Mono", SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}

@media (prefers-color-scheme: dark) {
  :root {
    --paper: #121418;
    --panel: #1a1d23;
    --sunk: #22262d;
    --ink: #e8e8e4;
    --quiet: #989da8;
    --line: #2d323b;
    --accent: #8ea8ff;
    --accent-ink: #11151f;
    --good: #5fcf97;
    --fair: #f0b35a;
    --bad: #ff8a80;
    --good-back: #16301f;
    --fair-back: #362811;
    --bad-back: #3b1a18;
    --member-1: #6c9eff;
    --member-2: #f0a355;
    --member-3: #4cc79a;
    --member-4: #b891ec;
    --member-5: #ef7f9d;
    --member-6: #4ec3d2;
    --member-7: #c2a275;
    --member-8: #a3a9b4;
    --series-1: #8ea8ff;
    --series-2: #f0a355;
    --series-3: #ff8a80;
  }
}

* { box-sizing: border-box; }
[hidden] { display: none !important; }

body {
  margin: 0;
  background: var(--paper);
  color: var(--ink);
  font: 14px/1.45 Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
  -webkit-text-size-adjust: 100%;
}

h1, h2, h3, p, dl, dd, ol, figure { margin: 0; padding: 0; }
h2 { font-size: 15px; font-weight: 620; letter-spacing: -.005em; }
h3 { font-size: 13px; font-weight: 620; }
ol { list-style: none; }
a { color: var(--accent); text-underline-offset: 2px; }
.quiet { color: var(--quiet); }
.key, .id, pre, textarea { font-family: var(--mono); font-size: 12.5px; }

:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.skip { position: absolute; left: -999px; top: 8px; padding: 6px 10px; background: var(--panel); z-index: 9; }
.skip:focus { left: 8px; }

/* The head of the page */

.top {
  position: sticky; top: 0; z-index: 5;
  display: flex; align-items: center; gap: 28px;
  padding: 10px 24px;
  background: color-mix(in srgb, var(--paper) 88%, transparent);
  backdrop-filter: blur(10px);
  border-bottom: 1px solid var(--line);
}
.brand { display: flex; align-items: center; gap: 10px; color: inherit; text-decoration: none; }
.brand span { font-size: 17px; font-weight: 680; letter-spacing: -.02em; }
.brand img { display: block; }
nav { display: flex; gap: 4px; }
nav a { padding: 5px 12px; border-radius: 7px; color: var(--quiet); text-decoration: none; font-weight: 530; }
nav a:hover { color: var(--ink); background: var(--sunk); }
nav a[aria-current] { color: var(--ink); background: var(--sunk); }
.standing { margin-left: auto; display: flex; align-items: center; gap: 9px; font-weight: 530; }
.lamp { width: 9px; height: 9px; border-radius: 50%; background: var(--quiet); flex: none; }
.standing[data-state="good"] .lamp { background: var(--good); box-shadow: 0 0 0 4px var(--good-back); }
.standing[data-state="fair"] .lamp { background: var(--fair); box-shadow: 0 0 0 4px var(--fair-back); }
.standing[data-state="bad"] .lamp { background: var(--bad); box-shadow: 0 0 0 4px var(--bad-back); }

main { max-width: 1480px; margin: 0 auto; padding: 20px 24px 40px; }
main:focus { outline: none; }

.panel { background: var(--panel); border: 1px solid var(--line); border-radius: 11px; padding: 14px 16px; }
.panel > header {
  display: flex; align-items: baseline; gap: 10px; justify-content: space-between; margin-bottom: 10px;
}

.notice {
  display: flex; align-items: flex-start; justify-content: space-between; gap: 16px;
  margin-bottom: 14px; padding: 11px 14px; border-radius: 9px; border: 1px solid transparent;
}
.notice p { margin-top: 3px; }
.notice > div { flex: 1; min-width: 0; }
.notice .value { margin-top: 8px; }
.notice.good { background: var(--good-back); color: var(--good); }
.notice.fair { background: var(--fair-back); color: var(--fair); }
.notice.bad { background: var(--bad-back); color: var(--bad); }
.notice .value { color: var(--ink); }

/* Members */

.members { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); gap: 14px; }
.member header { justify-content: flex-start; align-items: center; margin-bottom: 0; }
.member .dot { width: 11px; height: 11px; border-radius: 3.5px; flex: none; }
.member .role {
  margin-left: auto; padding: 1.5px 9px; border-radius: 99px; font-size: 12px; font-weight: 560;
  background: var(--sunk); color: var(--quiet);
}
.member[data-role="leader"] .role { background: var(--accent); color: var(--accent-ink); }
.member[data-role="candidate"] .role, .member[data-role="learner"] .role {
  background: var(--fair-back); color: var(--fair);
}
.member[data-role="down"] .role { background: var(--bad-back); color: var(--bad); }
.member[data-role="down"] dl { opacity: .45; }
.member .id { color: var(--quiet); font-size: 11.5px; margin: 3px 0 10px; }
.member dl { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 22px; }
.member dl div {
  display: flex; justify-content: space-between; gap: 8px; padding: 3px 0; border-top: 1px solid var(--line);
}
.member dt { color: var(--quiet); }
.member dd { text-align: right; white-space: nowrap; }
.member .why { color: var(--fair); font-size: 12.5px; }
.member .why:not(:empty) { margin-top: 9px; }
dd[data-tone="good"] { color: var(--good); }
dd[data-tone="fair"] { color: var(--fair); }
dd[data-tone="bad"] { color: var(--bad); }

/* Charts */

.charts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)); gap: 14px; margin-top: 14px;
}
.chart { display: flex; flex-direction: column; padding: 12px 14px 10px; min-width: 0; }
.chart figcaption { display: flex; justify-content: space-between; gap: 8px; align-items: baseline; }
.chart figcaption .quiet { font-size: 12px; text-align: right; }
.legend {
  display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 6px 0 8px; min-height: 42px; align-content: flex-end;
}
.legend dt { display: flex; align-items: center; gap: 5px; color: var(--quiet); font-size: 11.5px; line-height: 1.3; }
.legend i { width: 8px; height: 8px; border-radius: 2.5px; }
.legend dd { font-size: 16.5px; font-weight: 580; letter-spacing: -.015em; line-height: 1.35; white-space: nowrap; }
.plot { position: relative; margin-top: auto; touch-action: pan-y; }
.plot svg { display: block; width: 100%; height: 62px; overflow: visible; }
.plot .line {
  fill: none; stroke-width: 1.5; stroke-linejoin: round; stroke-linecap: round; vector-effect: non-scaling-stroke;
}
.plot .line.main { stroke-width: 1.9; }
.plot .area { opacity: .09; }
.plot .grid, .plot .base { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
.plot .cursor { stroke: var(--quiet); stroke-width: 1; vector-effect: non-scaling-stroke; }
.top-value { position: absolute; left: 0; top: 1px; font-size: 10.5px; color: var(--quiet); pointer-events: none; }
.foot { color: var(--quiet); font-size: 12.5px; margin-top: 16px; }

/* Fields and buttons */

button {
  font: inherit; font-weight: 530; color: var(--ink); background: var(--panel); cursor: pointer;
  border: 1px solid var(--line); border-radius: 8px; padding: 6px 13px; min-height: 34px;
}
button:hover { border-color: var(--quiet); }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--accent-ink); }
button.danger { color: var(--bad); }
button[aria-pressed="true"] { background: var(--sunk); border-color: var(--quiet); }
#watch[aria-pressed="true"] { background: var(--good-back); color: var(--good); border-color: currentColor; }
input, textarea {
  font: inherit; color: inherit; background: var(--panel); width: 100%; min-height: 34px;
  border: 1px solid var(--line); border-radius: 8px; padding: 6px 11px;
}
textarea { font-family: var(--mono); font-size: 12.5px; resize: vertical; }
input { font-family: var(--mono); font-size: 13px; }
label span { display: block; color: var(--quiet); font-size: 12px; margin-bottom: 3px; }
.buttons { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 12px; }
dialog .buttons { justify-content: flex-end; }

/* Keys */

.bar { display: flex; align-items: flex-end; gap: 8px; margin-bottom: 14px; }
.grow { flex: 1; }
.browser { display: grid; grid-template-columns: minmax(280px, 5fr) 8fr; gap: 14px; align-items: start; }
.side { display: grid; gap: 14px; min-width: 0; }
.list { padding: 14px 8px 10px; }
.list > header { padding: 0 8px; }
.list #more { margin: 8px; }
#rows li.quiet { padding: 4px 8px; }
.row {
  display: flex; justify-content: space-between; gap: 12px; align-items: baseline; width: 100%; min-height: 30px;
  border: 0; background: none; padding: 4px 8px; text-align: left; font-weight: 400; border-radius: 6px;
}
.row .key { overflow-wrap: anywhere; white-space: pre-wrap; }
.row .quiet { font-size: 12px; white-space: nowrap; }
.row:hover { background: var(--sunk); }
.row[aria-current="true"] { background: var(--accent); color: var(--accent-ink); }
.row[aria-current="true"] .quiet { color: inherit; opacity: .8; }
.row.inline { display: inline; width: auto; min-height: 0; padding: 1px 4px; }
.key-title {
  font-family: var(--mono); font-size: 15px; overflow-wrap: anywhere; white-space: pre-wrap; margin-bottom: 10px;
}
.facts { display: flex; flex-wrap: wrap; gap: 6px 26px; margin-bottom: 12px; }
.facts dt { color: var(--quiet); font-size: 12px; }
.tabs { display: flex; gap: 4px; margin-bottom: 6px; }
.tabs button { padding: 1px 10px; min-height: 26px; font-size: 12px; border-radius: 6px; }
pre.value {
  margin: 0; padding: 11px 13px; background: var(--sunk); border-radius: 8px; overflow: auto; max-height: 420px;
  white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.5;
}
.empty { padding: 26px 0; text-align: center; }
#detail h3 { margin: 18px 0 8px; }
#detail form { margin-top: 16px; }
.events { max-height: 340px; overflow: auto; }
.events li { padding: 3px 0; border-top: 1px solid var(--line); font-size: 12.5px; overflow-wrap: anywhere; }
.events li:first-child { border-top: 0; }
#events li { display: flex; align-items: baseline; gap: 8px; }
#events .preview { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
#events .quiet { font-size: 12px; white-space: nowrap; }
.events b { font-weight: 600; }
.events b.put { color: var(--good); }
.events b.delete { color: var(--bad); }
.preview { font-family: var(--mono); font-size: 12px; color: var(--quiet); }
summary { cursor: pointer; }

/* Tables */

.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; font-size: 12px; font-weight: 530; color: var(--quiet); padding: 4px 14px 6px 0; }
td { padding: 7px 14px 7px 0; border-top: 1px solid var(--line); vertical-align: middle; overflow-wrap: anywhere; }
meter { width: 90px; height: 9px; vertical-align: middle; }
.chip {
  display: inline-block; padding: 1px 7px; margin: 1px 4px 1px 0; border-radius: 5px; background: var(--sunk);
  text-decoration: none;
}

dialog {
  width: min(520px, calc(100vw - 32px)); border: 1px solid var(--line); border-radius: 13px; padding: 20px;
  background: var(--panel); color: var(--ink);
}
dialog::backdrop { background: rgb(10 12 16 / .45); }
dialog p { margin-top: 6px; color: var(--quiet); overflow-wrap: anywhere; }
dialog label { display: block; margin-top: 12px; }

@media (max-width: 820px) {
  .top { flex-wrap: wrap; gap: 8px 16px; padding: 10px 14px; }
  .standing { order: 2; margin-left: 0; width: 100%; font-size: 13px; }
  main { padding: 14px 14px 32px; }
  .browser { grid-template-columns: 1fr; }
  .bar { flex-wrap: wrap; }
  .bar .grow { flex-basis: 100%; }
  button { min-height: 40px; }
  .row, .tabs button { min-height: 36px; }
}

@media (prefers-reduced-motion: no-preference) {
  button, nav a { transition: background-color .12s, border-color .12s, color .12s; }
}

#service-rows caption { text-align: left; padding: 8px 0; }

"""###),
        ConsoleFile(
            "console.js",
            ###"""
// The page's frame: which of its parts is shown, and the question that is asked every second.

import { data } from "./api.js";
import { Overview } from "./overview.js";
import { Keys } from "./keys.js";
import { Leases } from "./leases.js";
import { Services } from "./services.js";
import { byID, make, plural, say } from "./dom.js";

const INTERVAL = 1000;
/// How long a member may take to say how it is.
const PATIENCE = 3000;
/// After how many rounds a member that the browser could not reach is tried again.
const PAUSE = 15;

/// What is known of the cluster, as of the last answers.
const cluster = {
  /// The answer of the member that the page came from; null while there was none.
  own: null,
  /// Why it does not answer.
  failure: null,
  /// By id: `{ id, name, color, entry, data, before, reason }`.
  members: new Map(),
};

const overview = new Overview(cluster);
const parts = {
  overview, keys: new Keys(), leases: new Leases(), services: new Services(),
};

// MARK: Asking

const COLORS = 8;

function memberOf(entry) {
  let member = cluster.members.get(entry.id);
  if (!member) {
    // The first colour that nobody has.
    const taken = new Set([...cluster.members.values()].map((other) => other.color));
    const free = Array.from({ length: COLORS }, (_, place) => `member-${place + 1}`).find((color) => !taken.has(color));
    member = { id: entry.id, color: free ?? "member-1", data: null, before: null, reason: null, rounds: 0 };
    cluster.members.set(entry.id, member);
  }
  member.entry = entry;
  member.name = entry.name || entry.id;
  return member;
}

function heard(member, answer) {
  member.before = member.data;
  member.data = answer;
  member.reason = null;
  member.rounds = 0;
}

function unheard(member, reason) {
  member.data = null;
  member.before = null;
  member.reason = reason;
}

/// Another member is asked at its client URL, where the browser can reach that. One that our own member has no
/// connection to is not asked: it would only be an error more on the browser's console.
async function askOther(member, own) {
  if (member.entry.link && !member.entry.link.isConnected) {
    member.rounds = 0;
    return unheard(member, `${own.name} has no connection to it`);
  }
  if (member.rounds > 0) {
    member.rounds -= 1;
    return;
  }
  for (const url of member.entry.clientURLs) {
    try {
      const answer = await data(url, PATIENCE);
      if (answer.own.id === member.id) return heard(member, answer);
    } catch {
      // The next of its addresses, or none.
    }
  }
  const isUnstarted = member.entry.clientURLs.length === 0;
  unheard(member, isUnstarted ? "it has not been started yet" : "its client URL cannot be reached from this browser");
  member.rounds = PAUSE;
}

async function round() {
  try {
    const answer = await data(null, PATIENCE);
    const entries = answer.members;
    for (const id of [...cluster.members.keys()]) {
      if (!entries.some((entry) => entry.id === id)) cluster.members.delete(id);
    }
    // By name, so that the first colour is the first card's.
    const members = [...entries].sort((a, b) => a.name.localeCompare(b.name, "en")).map(memberOf);
    const own = members.find((member) => member.id === answer.own.id);
    if (own) heard(own, answer);
    cluster.own = answer;
    cluster.failure = null;
    await Promise.all(members.filter((member) => member !== own).map((member) => askOther(member, own ?? {})));
  } catch {
    cluster.failure = "The member that this page came from does not answer. It is asked again every second.";
    for (const member of cluster.members.values()) unheard(member, "not asked");
  }
  standing();
  overview.show();
  byID("services-link").hidden = !cluster.own?.hasServices;
}

async function ask() {
  const begin = performance.now();
  // A page that nobody looks at asks nothing.
  if (!document.hidden) await round();
  setTimeout(ask, Math.max(100, INTERVAL - (performance.now() - begin)));
}

// MARK: How it stands, in one line

export function isUp(member, own) {
  return member.data !== null || member.id === own?.own.id || (member.entry.link?.isConnected ?? false);
}

function standing() {
  const { own, failure } = cluster;
  const line = byID("standing");
  let state = "good";
  let text;
  if (failure || !own) {
    [state, text] = ["bad", "no answer"];
  } else {
    const members = [...cluster.members.values()];
    const up = members.filter((member) => isUp(member, own)).length;
    const leader = members.find((member) => member.id === own.own.leader);
    const count = up === members.length ? plural(up, "member") : `${up} of ${plural(members.length, "member")}`;
    if (!own.own.leader) {
      [state, text] = ["bad", `no leader · ${count} · term ${own.own.term}`];
    } else {
      text = `leader ${leader?.name ?? own.own.leader} · ${count} · term ${own.own.term}`;
      if (own.alarms.length || own.own.failure) state = "bad";
      else if (up < members.length) state = "fair";
    }
  }
  line.dataset.state = state;
  say(line.querySelector("span"), text);
  document.title = `Martlet: ${text}`;
  notices(own, failure);
}

function notices(own, failure) {
  const found = [];
  if (failure) found.push(["bad", failure]);
  if (own?.own.failure) found.push(["bad", `This member has stopped: ${own.own.failure}`]);
  if (own && !failure && !own.own.leader) {
    found.push(["bad", "There is no leader: writes and linearizable reads wait until a majority of the members is "
      + "running and can reach one another."]);
  }
  if (own && !own.hasGateway) {
    found.push(["fair", "The JSON gateway is off (--enable-grpc-gateway=false): figures are shown, keys and leases "
      + "cannot be."]);
  }
  const texts = found.map(([, text]) => text).join("\n");
  const place = byID("notices");
  if (place.dataset.texts === texts) return;
  place.dataset.texts = texts;
  place.replaceChildren(...found.map(([state, text]) => make(`p.notice.${state}`, {}, text)));
}

// MARK: Which part is shown

function go() {
  const [name, query] = location.hash.replace(/^#\/?/, "").split("?");
  const chosen = Object.hasOwn(parts, name) ? name : "overview";
  for (const [each, part] of Object.entries(parts)) {
    const isShown = each === chosen;
    byID(each).hidden = !isShown;
    const link = document.querySelector(`nav a[href="#/${each}"]`);
    if (isShown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (isShown) part.enter?.(new URLSearchParams(query ?? ""));
    else part.leave?.();
  }
}

addEventListener("hashchange", go);
addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, textarea, dialog");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    if (byID("keys").hidden) location.hash = "#/keys";
    setTimeout(() => byID("prefix").focus());
  }
});

go();
ask();

"""###),
        ConsoleFile(
            "dom.js",
            ###"""
// Small helpers. Text only ever becomes text: nothing here or elsewhere makes markup of a string.

const SVG = "http://www.w3.org/2000/svg";

/// An element: `make("p.quiet", { title: "x", onclick: f }, "text", child, ...)`.
export function make(what, properties, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("aria-") || name.startsWith("data-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function drawn(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

export const byID = (id) => document.getElementById(id);

/// Sets text where it is another one: a page that is read aloud is not told the same thing again.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/// A part of the page that asks anew every three seconds while it is shown. `load` asks, and shows what it heard;
/// `line` is the id of the element that says what there is, or why it is not known.
export class Refreshed {
  constructor(line) {
    this.line = line;
  }

  enter() {
    this.isShown = true;
    this.refresh();
  }

  leave() {
    this.isShown = false;
    clearTimeout(this.timer);
  }

  async refresh() {
    clearTimeout(this.timer);
    try {
      await this.load();
    } catch (error) {
      say(byID(this.line), error.message);
    }
    // Another round may have ended meanwhile: one is enough.
    clearTimeout(this.timer);
    if (this.isShown) this.timer = setTimeout(() => this.refresh(), 3000);
  }
}

// Numbers, as people read them.

export const plural = (count, one, many = one + "s") => `${whole(count)} ${count === 1 ? one : many}`;

export function whole(number) {
  return Math.round(number).toLocaleString("en").replaceAll(",", "\u202f");
}

export function number(value) {
  if (value === null || value === undefined || !isFinite(value)) return "–";
  if (value < 10 && Number.isInteger(value)) return String(value);
  if (value < 10) return value.toFixed(value < 1 ? 2 : 1);
  if (value < 100_000) return whole(value);
  if (value < 1e9) return (value / 1e6).toFixed(value < 1e7 ? 2 : 1) + " M";
  return (value / 1e9).toFixed(1) + " G";
}

export function size(bytes) {
  if (bytes === null || bytes === undefined || !isFinite(bytes)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  return `${unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
}

/// A short time, given in nanoseconds.
export function time(nanoseconds) {
  if (nanoseconds === null || nanoseconds === undefined || !isFinite(nanoseconds)) return "–";
  if (nanoseconds < 999_500) return `${Math.round(nanoseconds / 1e3)} µs`;
  if (nanoseconds < 9.95e6) return `${(nanoseconds / 1e6).toFixed(2)} ms`;
  if (nanoseconds < 99.5e6) return `${(nanoseconds / 1e6).toFixed(1)} ms`;
  if (nanoseconds < 999.5e6) return `${Math.round(nanoseconds / 1e6)} ms`;
  return `${(nanoseconds / 1e9).toFixed(2)} s`;
}

/// A long time, given in seconds.
export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor(s / 3600) % 24} h`;
}

// Questions to the person in front of the page.

/// A dialog with fields and two buttons; resolves to what was entered, or to null.
export function ask({ title, text, fields = [], action = "OK", danger = false }) {
  const dialog = byID("dialog");
  return new Promise((resolve) => {
    const inputs = fields.map((field) =>
      make(field.lines ? "textarea" : "input", {
        name: field.name, rows: field.lines, value: field.value ?? "", required: field.required ?? false,
        autocomplete: "off", spellcheck: false,
      }));
    let result = null;
    const form = make("form", {
      onsubmit: (event) => {
        event.preventDefault();
        result = Object.fromEntries(inputs.map((input) => [input.name, input.value]));
        dialog.close();
      },
    },
    make("h2", { id: "dialog-title" }, title),
    text ? make("p", {}, text) : null,
    fields.map((field, place) => make("label", {}, make("span", {}, field.label), inputs[place])),
    make("div.buttons", {},
      make("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
      make(danger ? "button.danger" : "button.primary", { type: "submit", autofocus: !fields.length }, action)));
    dialog.replaceChildren(form);
    dialog.onclose = () => {
      dialog.replaceChildren();
      resolve(result);
    };
    dialog.showModal();
    inputs[0]?.focus();
  });
}

"""###),
        ConsoleFile(
            "index.html",
            ###"""
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Martlet</title>
<link rel="icon" href="martlet.svg" type="image/svg+xml">
<link rel="stylesheet" href="console.css">
<script type="module" src="console.js"></script>
</head>
<body>
<a class="skip" href="#main">To the content</a>
<header class="top">
  <a class="brand" href="#/overview" aria-label="Martlet: overview">
    <img src="martlet.svg" alt="" width="30" height="30"><span>Martlet</span>
  </a>
  <nav aria-label="Pages">
    <a href="#/overview">Overview</a>
    <a href="#/keys">Keys</a>
    <a href="#/leases">Leases</a>
    <a href="#/services" id="services-link" hidden>Services</a>
  </nav>
  <p class="standing" id="standing" role="status"><i class="lamp"></i><span>Asking …</span></p>
</header>
<main id="main" tabindex="-1">
  <noscript><p class="notice bad">The console needs JavaScript. It is served by this member alone.</p></noscript>
  <div id="notices" aria-live="polite"></div>

  <section id="overview" aria-label="Overview">
    <div id="members" class="members"></div>
    <div id="charts" class="charts"></div>
    <p class="foot" id="foot"></p>
  </section>

  <section id="keys" aria-label="Keys" hidden>
    <form class="bar" id="search" role="search">
      <label class="grow">
        <span>Prefix</span>
        <input id="prefix" type="text" autocomplete="off" autocapitalize="off" spellcheck="false"
          placeholder="all keys" aria-keyshortcuts="/">
      </label>
      <button type="submit">Search</button>
      <button type="button" id="watch" aria-pressed="false">Watch</button>
      <button type="button" id="create" class="primary">New key</button>
    </form>
    <div class="browser">
      <div class="panel list">
        <header><h2>Keys</h2><span id="count" class="quiet" role="status"></span></header>
        <ol id="rows"></ol>
        <button type="button" id="more" hidden>More</button>
      </div>
      <div class="side">
        <div class="panel" id="events-panel" hidden>
          <header><h2>Live</h2><span id="events-state" class="quiet" role="status"></span></header>
          <ol id="events" class="events"></ol>
        </div>
        <div class="panel" id="detail" aria-live="polite"></div>
      </div>
    </div>
  </section>

  <section id="leases" aria-label="Leases" hidden>
    <div class="panel">
      <header><h2>Leases</h2><span id="lease-count" class="quiet" role="status"></span></header>
      <div class="scroll"><table>
        <thead><tr><th>Lease</th><th>Remaining</th><th>Granted</th><th>Keys</th><th></th></tr></thead>
        <tbody id="lease-rows"></tbody>
      </table></div>
    </div>
  </section>

  <section id="services" aria-label="Services" hidden>
    <div class="panel">
      <header><h2>Services</h2><span id="service-count" class="quiet" role="status"></span></header>
      <div id="service-rows"></div>
    </div>
  </section>
</main>
<dialog id="dialog" aria-labelledby="dialog-title"></dialog>
</body>
</html>

"""###),
        ConsoleFile(
            "keys.js",
            ###"""
// The key browser: search by prefix, one key with its history, changes by compare-and-set, a live watch.
// Keys and values are anybody's: they are shown as text, never as anything else.

import { base64Of, bytesOf, call, data, encoded, rangeOf, shown, stream, textOf } from "./api.js";
import { ask, byID, make, plural, say, size, whole } from "./dom.js";

const PAGE = 50;
const EVENTS = 200;
const HISTORY = 50;
/// In milliseconds.
const PATIENCE = 3000;
/// More of a value than this is shown only when asked for.
const SHOWN_BYTES = 64 << 10;
/// The gateway's code for it, and what is said of it.
const COMPACTED = 11;
const GONE = "What came before has been compacted.";

const longOf = (text) => BigInt(text ?? 0);

export class Keys {
  constructor() {
    this.prefix = new Uint8Array();
    /// The key that is open, in Base64.
    this.open = null;
    this.searches = 0;
    byID("search").onsubmit = (event) => {
      event.preventDefault();
      this.go(byID("prefix").value, null);
    };
    byID("more").onclick = () => this.page();
    byID("create").onclick = () => this.create();
    byID("watch").onclick = () => (this.watching ? this.unwatch() : this.watch());
    this.nothing();
  }

  // MARK: Where in the browser's history

  go(prefix, key) {
    const query = new URLSearchParams();
    if (prefix) query.set("prefix", prefix);
    if (key) query.set("key", key);
    const target = `#/keys${query.size ? "?" + query : ""}`;
    if (location.hash === target) this.enter(query);
    else location.hash = target;
  }

  enter(query) {
    const prefix = query.get("prefix") ?? "";
    byID("prefix").value = prefix;
    const isOther = !this.entered || prefix !== this.text;
    const isAgain = this.entered && query.get("key") === this.open;
    this.entered = true;
    this.text = prefix;
    this.prefix = encoded(prefix);
    if (isOther || isAgain || !query.get("key")) this.search();
    if (isOther && this.watching) this.watch();
    const key = query.get("key");
    if (key) this.show(key);
    else this.nothing();
  }

  leave() {
    this.unwatch();
    this.entered = false;
  }

  // MARK: The list

  async search() {
    this.searches += 1;
    this.last = null;
    this.total = 0;
    this.seen = 0;
    byID("rows").replaceChildren();
    await this.page();
  }

  async page() {
    const search = this.searches;
    const range = rangeOf(this.prefix);
    // The least key behind the last one.
    if (this.last) range.key = base64Of(new Uint8Array([...bytesOf(this.last), 0]));
    let answer;
    try {
      answer = await call("kv/range", { ...range, limit: PAGE, keys_only: true });
    } catch (error) {
      say(byID("count"), error.message);
      return;
    }
    if (search !== this.searches) return;
    const pairs = answer.kvs ?? [];
    if (!this.last) this.total = Number(answer.count ?? 0);
    this.seen += pairs.length;
    this.last = pairs.at(-1)?.key ?? this.last;
    byID("rows").append(...pairs.map((pair) => this.row(pair)));
    const isAll = this.seen >= this.total;
    say(byID("count"), isAll ? plural(this.total, "key") : `${whole(this.seen)} of ${whole(this.total)}`);
    byID("more").hidden = !answer.more;
    if (!this.total) byID("rows").append(make("li.quiet", {}, "No keys."));
    this.mark();
  }

  row(pair) {
    return make("li", {},
      make("button.row", { type: "button", "data-key": pair.key, onclick: () => this.go(this.text, pair.key) },
        make("span.key", {}, shown(bytesOf(pair.key))),
        make("span.quiet", {}, `rev ${pair.mod_revision}`)));
  }

  mark() {
    for (const row of byID("rows").querySelectorAll("button")) {
      row.setAttribute("aria-current", row.dataset.key === this.open ? "true" : "false");
    }
  }

  // MARK: One key

  nothing() {
    this.open = null;
    this.pair = null;
    this.mark();
    byID("detail").replaceChildren(make("p.quiet.empty", {}, "Choose a key, or press / to search."));
  }

  async show(key, message) {
    this.open = key;
    this.mark();
    let answer;
    try {
      answer = await call("kv/range", { key });
    } catch (error) {
      if (this.open === key) this.fail(key, error.message);
      return;
    }
    if (this.open !== key) return;
    this.pair = answer.kvs?.[0] ?? null;
    if (!this.pair) return this.fail(key, "This key does not exist.");
    this.note(key, `rev ${this.pair.mod_revision}`);
    this.draw(message);
  }

  /// What the list says of a key, where it is in it.
  note(key, text) {
    for (const row of byID("rows").querySelectorAll("button")) {
      if (row.dataset.key === key) say(row.querySelector(".quiet"), text);
    }
  }

  fail(key, text) {
    this.pair = null;
    byID("detail").replaceChildren(this.title(key), make("p.notice.fair", {}, text));
  }

  title(key) {
    return make("h2.key-title", {}, shown(bytesOf(key)));
  }

  draw(message) {
    const pair = this.pair;
    const value = bytesOf(pair.value);
    const lease = longOf(pair.lease);
    const fact = (name, content) => make("div", {}, make("dt", {}, name), make("dd", {}, content));
    this.extra = make("div");
    byID("detail").replaceChildren(
      this.title(pair.key),
      message ? make("p.notice.good", {}, message) : "",
      make("dl.facts", {},
        fact("Changed at", `revision ${pair.mod_revision}`), fact("Created at", `revision ${pair.create_revision}`),
        fact("Version", String(pair.version)), fact("Size", size(value.length)),
        fact("Lease", lease ? make("a", { href: "#/leases" }, BigInt.asUintN(64, lease).toString(16)) : "none")),
      valueView(value),
      make("div.buttons", {},
        make("button", { type: "button", id: "edit", onclick: () => this.edit() }, "Edit"),
        make("button", { type: "button", id: "history", onclick: () => this.history() }, "History"),
        make("button.danger", { type: "button", id: "delete", onclick: () => this.delete() }, "Delete")),
      this.extra);
  }

  // MARK: Changing

  /// Puts `text` if the key still is as it was at `pair`; the other's pair otherwise.
  async put(pair, text) {
    const put = { key: pair.key, value: base64Of(encoded(text)), lease: pair.lease };
    const answer = await call("kv/txn", {
      compare: [{ key: pair.key, target: "MOD", result: "EQUAL", mod_revision: pair.mod_revision }],
      success: [{ request_put: put }],
      failure: [{ request_range: { key: pair.key } }],
    });
    if (answer.succeeded) return { revision: answer.header.revision };
    return { other: answer.responses?.[0]?.response_range?.kvs?.[0] ?? null };
  }

  edit() {
    const text = textOf(bytesOf(this.pair.value));
    if (text === null || text.includes("\r")) {
      const reason = text === null ? "This value is not text (UTF-8)" : "A text field would lose this value's carriage "
        + "returns";
      return this.extra.replaceChildren(make("p.notice.fair", {}, `${reason}: change it with a client.`));
    }
    this.editor(this.pair, text);
  }

  /// `base` is what the change is made on.
  editor(base, text, conflict) {
    const area = make("textarea", { rows: Math.min(18, Math.max(4, text.split("\n").length + 1)), value: text,
      spellcheck: false, id: "editor" });
    area.setAttribute("aria-label", "New value");
    const state = make("p.quiet", { role: "status" },
      `Saved only if the key is still as of revision ${base.mod_revision}.`);
    const form = make("form", {
      onsubmit: async (event) => {
        event.preventDefault();
        try {
          const { revision, other } = await this.put(base, area.value);
          if (this.open !== base.key) return;
          if (revision) return this.show(base.key, `Saved at revision ${revision}.`);
          this.editor(base, area.value, { other });
        } catch (error) {
          say(state, error.message);
        }
      },
    },
    conflict ? this.conflict(base, conflict.other, area) : null,
    make("label", {}, make("span", {}, "New value"), area), state,
    make("div.buttons", {},
      make("button", { type: "button", onclick: () => this.show(base.key) }, "Cancel"),
      make("button.primary", { type: "submit", id: "save" }, "Save")));
    this.extra.replaceChildren(form);
    area.focus();
  }

  conflict(base, other, area) {
    if (!other) {
      return make("div.notice.bad", { id: "conflict" },
        make("strong", {}, "Not saved: the key was deleted meanwhile."));
    }
    return make("div.notice.bad", { id: "conflict" },
      make("div", {},
        make("strong", {}, `Not saved: the key was changed meanwhile, at revision ${other.mod_revision}. It is now:`),
        make("pre.value", {}, shownValue(bytesOf(other.value))),
        make("div.buttons", {},
          make("button", { type: "button", onclick: () => this.show(base.key) }, "Take theirs"),
          make("button", { type: "button", id: "rebase", onclick: () => {
            this.pair = other;
            const text = area.value;
            this.draw();
            this.editor(other, text);
          } }, "Edit on top of theirs"))));
  }

  async delete() {
    const pair = this.pair;
    const isSure = await ask({
      title: "Delete this key?", text: shown(bytesOf(pair.key)), action: "Delete", danger: true,
    });
    if (!isSure) return;
    try {
      const answer = await call("kv/txn", {
        compare: [{ key: pair.key, target: "MOD", result: "EQUAL", mod_revision: pair.mod_revision }],
        success: [{ request_delete_range: { key: pair.key } }],
      });
      if (!answer.succeeded) return this.show(pair.key, "Not deleted: the key was changed meanwhile. This is it now.");
      this.go(this.text, null);
    } catch (error) {
      this.extra.replaceChildren(make("p.notice.bad", {}, error.message));
    }
  }

  async create() {
    const entered = await ask({
      title: "New key", action: "Create", text: "Made only if there is no such key yet.",
      fields: [
        { name: "key", label: "Key", value: this.text, required: true }, { name: "value", label: "Value", lines: 6 },
      ],
    });
    if (!entered) return;
    const key = base64Of(encoded(entered.key));
    try {
      const answer = await call("kv/txn", {
        compare: [{ key, target: "VERSION", result: "EQUAL", version: 0 }],
        success: [{ request_put: { key, value: base64Of(encoded(entered.value)) } }],
      });
      this.search();
      if (answer.succeeded) this.go(this.text, key);
      else await this.show(key, "Not made: there is such a key already. This is it.");
    } catch (error) {
      await ask({ title: "Not made", text: error.message, action: "Close" });
    }
  }

  // MARK: History

  /// Back from change to change, until the key's creation, or as far as the history was not compacted.
  async history() {
    const key = this.pair.key;
    const list = make("ol.events", { id: "versions" });
    const state = make("p.quiet", { role: "status" }, "Looking back …");
    this.extra.replaceChildren(make("h3", {}, "History"), list, state);
    let pair = this.pair;
    let compacted;
    for (let step = 0; step < HISTORY; step += 1) {
      list.append(make("li", {},
        make("details", {},
          make("summary", {}, make("b", {}, `revision ${pair.mod_revision}`), ` version ${pair.version} `,
            make("span.preview", {}, preview(bytesOf(pair.value)))),
          valueView(bytesOf(pair.value)))));
      if (longOf(pair.version) <= 1n) return say(state, `Created at revision ${pair.create_revision}.`);
      try {
        // Asking for what is not there any more would be an error, which the browser writes down.
        compacted ??= BigInt((await data(null, PATIENCE)).own.compactRevision);
        if (longOf(pair.mod_revision) - 1n < compacted) return say(state, GONE);
        const answer = await call("kv/range", { key, revision: String(longOf(pair.mod_revision) - 1n) });
        if (this.open !== key || !list.isConnected) return;
        pair = answer.kvs?.[0];
        if (!pair) return say(state, "Before that there was no such key.");
      } catch (error) {
        return say(state, error.code === COMPACTED ? GONE : error.message);
      }
    }
    say(state, `The last ${HISTORY} changes.`);
  }

  // MARK: The live watch

  async watch() {
    this.watching?.abort();
    const control = new AbortController();
    this.watching = control;
    byID("watch").setAttribute("aria-pressed", "true");
    byID("events-panel").hidden = false;
    byID("events").replaceChildren();
    const state = byID("events-state");
    say(state, "opening …");
    const name = this.text ? `keys with ${shown(this.prefix)}` : "all keys";
    let next;
    while (!control.signal.aborted) {
      try {
        // After a break it goes on where it was.
        const request = { ...rangeOf(this.prefix), start_revision: next, prev_kv: true };
        await stream("watch", { create_request: request }, control.signal, (result) => {
          if (result.created) {
            say(state, `watching ${name}`);
            next ??= String(longOf(result.header.revision) + 1n);
          }
          if (result.canceled) {
            if (result.compact_revision) next = result.compact_revision;
            throw new Error(result.cancel_reason || "ended by the server");
          }
          for (const event of result.events ?? []) {
            this.event(event);
            next = String(longOf(event.kv.mod_revision) + 1n);
          }
        });
        say(state, "ended; opening again …");
      } catch (error) {
        if (control.signal.aborted) return;
        say(state, `${error.message}; opening again …`);
      }
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }

  unwatch() {
    this.watching?.abort();
    this.watching = null;
    byID("watch").setAttribute("aria-pressed", "false");
    byID("events-panel").hidden = true;
  }

  event(event) {
    const isDeletion = event.type === "DELETE";
    const pair = event.kv;
    const list = byID("events");
    this.note(pair.key, isDeletion ? "deleted" : `rev ${pair.mod_revision}`);
    list.prepend(make("li", {},
      make(isDeletion ? "b.delete" : "b.put", {}, isDeletion ? "delete" : event.prev_kv ? "put" : "new"), " ",
      make("button.row.inline", { type: "button", onclick: () => this.go(this.text, pair.key) },
        make("span.key", {}, shown(bytesOf(pair.key)))),
      make("span.preview", {}, isDeletion ? "" : preview(bytesOf(pair.value))),
      make("span.quiet", {}, `rev ${pair.mod_revision}`)));
    while (list.children.length > EVENTS) list.lastChild.remove();
    const isEditing = byID("editor") !== null;
    if (pair.key === this.open && !isEditing && pair.mod_revision !== this.pair?.mod_revision) this.show(pair.key);
  }
}

// MARK: Values

function preview(bytes) {
  const text = shown(bytes.subarray(0, 200));
  return text.length > 100 || bytes.length > 200 ? text.slice(0, 100) + "…" : text;
}

const shownValue = (bytes) => textOf(bytes) ?? shown(bytes);

function hexLines(bytes) {
  const lines = [];
  for (let place = 0; place < bytes.length; place += 16) {
    const part = bytes.subarray(place, place + 16);
    const digits = Array.from(part, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = Array.from(part, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${place.toString(16).padStart(6, "0")}  ${digits.padEnd(47)}  ${text}`);
  }
  return lines.join("\n");
}

/// JSON with its lines; null where it is none, or where writing it anew would show other numbers than there are.
function pretty(text) {
  if (!/^\s*[[{]/.test(text)) return null;
  try {
    const value = JSON.parse(text);
    const mayDiffer = /\d{16,}|\d[.eE]\d/.test(text) && JSON.stringify(value) !== text.trim();
    return mayDiffer ? null : JSON.stringify(value, null, 2);
  } catch {
    return null;
  }
}

/// A value in the ways in which it can be read.
function valueView(whole) {
  const bytes = whole.subarray(0, SHOWN_BYTES);
  const isCut = whole.length > SHOWN_BYTES;
  const ways = [];
  const text = textOf(isCut ? whole : bytes);
  const json = text !== null && !isCut ? pretty(text) : null;
  if (json !== null) ways.push(["JSON", () => json]);
  if (text !== null) ways.push(["Text", () => (isCut ? text.slice(0, SHOWN_BYTES) : text)]);
  ways.push(["Hex", () => hexLines(bytes.subarray(0, 4096))]);
  const box = make("pre.value", { tabIndex: 0 });
  const tabs = make("div.tabs", { role: "group", "aria-label": "How to show the value" });
  const choose = (place) => {
    box.textContent = ways[place][1]();
    [...tabs.children].forEach((tab, each) => tab.setAttribute("aria-pressed", String(each === place)));
  };
  ways.forEach(([name], place) =>
    tabs.append(make("button", { type: "button", onclick: () => choose(place) }, name)));
  choose(0);
  const note = isCut ? make("p.quiet", {}, `The first ${size(SHOWN_BYTES)} of ${size(whole.length)}.`) : null;
  return make("div", {}, tabs, box, note);
}

"""###),
        ConsoleFile(
            "leases.js",
            ###"""
// Leases: what is left of them, the keys that end with them, and ending one by hand.

import { bytesOf, call, shown } from "./api.js";
import { Refreshed, ask, byID, make, plural, say, span } from "./dom.js";

/// Of more leases than these only the number is told.
const SHOWN = 100;
const KEYS = 8;

export class Leases extends Refreshed {
  constructor() {
    super("lease-count");
  }

  async load() {
    const ids = ((await call("lease/leases", {})).leases ?? []).map((lease) => lease.ID);
    const asked = ids.slice(0, SHOWN).map((id) => call("lease/timetolive", { ID: id, keys: true }));
    const found = await Promise.all(asked);
    if (!this.isShown) return;
    const more = ids.length > SHOWN ? `, the first ${SHOWN} of them` : "";
    say(byID("lease-count"), plural(ids.length, "lease") + more);
    const rows = found.filter((lease) => Number(lease.TTL) >= 0).sort((a, b) => Number(a.TTL) - Number(b.TTL));
    // Not while somebody is on the way to a button.
    const isHeld = byID("lease-rows").contains(document.activeElement);
    if (isHeld && rows.length) return;
    byID("lease-rows").replaceChildren(...rows.map((lease) => this.row(lease)));
    if (!rows.length) {
      byID("lease-rows").append(make("tr", {}, make("td.quiet", { colSpan: 5 }, "No leases.")));
    }
  }

  row(lease) {
    const id = BigInt.asUintN(64, BigInt(lease.ID)).toString(16);
    const keys = lease.keys ?? [];
    const meter = make("meter", { min: 0, max: Number(lease.grantedTTL), value: Number(lease.TTL ?? 0) });
    meter.setAttribute("aria-label", "Remaining");
    return make("tr", { "data-lease": id },
      make("td.key", {}, id), make("td", {}, meter, " ", span(Number(lease.TTL ?? 0))),
      make("td", {}, span(Number(lease.grantedTTL))),
      make("td", {},
        keys.slice(0, KEYS).map((key) =>
          make("a.key.chip", { href: `#/keys?${new URLSearchParams({ key })}` }, shown(bytesOf(key)))),
        keys.length > KEYS ? make("span.quiet", {}, ` and ${keys.length - KEYS} more`) : null,
        keys.length ? null : make("span.quiet", {}, "none")),
      make("td", {}, make("button.danger", { type: "button", onclick: () => this.revoke(lease, id) }, "Revoke")));
  }

  async revoke(lease, id) {
    const count = lease.keys?.length ?? 0;
    const isSure = await ask({
      title: `Revoke lease ${id}?`, action: "Revoke", danger: true,
      text: count ? `${plural(count, "key")} will be deleted with it.` : "No keys are attached to it.",
    });
    if (!isSure) return;
    try {
      await call("lease/revoke", { ID: lease.ID });
    } catch (error) {
      await ask({ title: "Not revoked", text: error.message, action: "Close" });
    }
    document.activeElement?.blur();
    this.refresh();
  }
}

"""###),
        ConsoleFile(
            "martlet.svg",
            ###"""
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">
<rect width="64" height="64" rx="15" fill="#27408f"/>
<path fill="#fff" d="M8 25c9-2 17 0 23 6 2-8 9-15 20-18-5 4-8 9-9 14 5-1 9 0 13 3-5 0-8 1-10 4-3 6-9 9-16 9
 -4 0-7 2-10 7 0-6 1-10 4-13-6-3-11-7-15-12z"/>
</svg>

"""###),
        ConsoleFile(
            "model.js",
            ###"""
// What two answers of a member, a second apart, say: rates, and quantiles of what happened between them.

/// Where a bucket of the latency histograms begins, in nanoseconds (RequestTimes.swift).
const boundOf = (bucket) => (4 + (bucket % 4)) * 2 ** (11 + Math.floor(bucket / 4));

/// Buckets of what came between two looks; null where the counters began anew.
function difference(now, before) {
  return now.map((count, bucket) => count - (before[bucket] ?? 0));
}

/// The value below which a part of what is in the buckets lies; null where there is nothing.
export function quantile(counts, part) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return null;
  let rest = part * total;
  for (let bucket = 0; bucket < counts.length; bucket += 1) {
    if (counts[bucket] > 0 && rest <= counts[bucket]) {
      const low = bucket === 0 ? 0 : boundOf(bucket);
      return low + (boundOf(bucket + 1) - low) * (rest / counts[bucket]);
    }
    rest -= counts[bucket];
  }
  return boundOf(counts.length);
}

/// What happened at a member between two answers; null where it was started anew meanwhile.
export function between(before, now) {
  const seconds = (now.atNanoseconds - before.atNanoseconds) / 1e9;
  const isSame = before.own.id === now.own.id && now.own.uptimeSeconds > before.own.uptimeSeconds - 1;
  if (!(seconds > 0.05) || !isSame) return null;
  const grown = (read) => {
    const change = read(now) - read(before);
    return change >= 0 ? change / seconds : null;
  };
  const calls = (name) => grown((data) => data.traffic.calls[name]?.ended ?? 0);
  const every = (data) => Object.values(data.traffic.calls);
  const syncs = now.times.syncCount - before.times.syncCount;
  return {
    puts: calls("put"), transactions: calls("txn"), deletions: calls("delete"), ranges: calls("range"),
    others: calls("other"),
    failed: grown((data) => every(data).reduce((sum, each) => sum + each.failed, 0)),
    received: grown((data) => data.traffic.receivedBytes), sent: grown((data) => data.traffic.sentBytes),
    watchMessages: grown((data) => data.traffic.watchMessages),
    cpu: grown((data) => data.process.cpuSeconds),
    sync: syncs > 0 ? (now.times.syncNanoseconds - before.times.syncNanoseconds) / syncs : null,
    writes: difference(now.times.writes, before.times.writes),
    reads: difference(now.times.reads, before.times.reads),
  };
}

/// Buckets of several members together.
export function together(lists) {
  const sum = [];
  for (const list of lists) list.forEach((count, bucket) => (sum[bucket] = (sum[bucket] ?? 0) + count));
  return Array.from(sum, (count) => count ?? 0);
}

export const total = (values) => {
  const known = values.filter((value) => value !== null && value !== undefined);
  return known.length ? known.reduce((sum, value) => sum + value, 0) : null;
};

"""###),
        ConsoleFile(
            "overview.js",
            ###"""
// Members, alarms, and what the cluster does from second to second.

import { call } from "./api.js";
import { Chart, ceilingOfBytes } from "./chart.js";
import { between, quantile, together, total } from "./model.js";
import { ask, byID, make, number, plural, say, size, span, time, whole } from "./dom.js";

const perSecond = (value) => (value === null ? "–" : `${number(value)}/s`);
const percent = (value) => (value === null ? "–" : `${number(value * 100)} %`);
const sizePerSecond = (value) => (value === null ? "–" : `${size(value)}/s`);

/// What a card tells of a member, in two columns.
const FACTS = [
  "Lag", "Term", "Committed", "Applied", "Database", "File", "Memory", "Ping", "Uptime", "Version",
];

export class Overview {
  constructor(cluster) {
    this.cluster = cluster;
    this.cards = new Map();
    this.alarms = "";
    const chart = (title, format, note, options = {}) => new Chart({ title, format, note, ...options });
    const bytes = { steps: ceilingOfBytes, least: 1 };
    this.charts = {
      writes: chart("Writes", perSecond, "calls ended", { least: 10 }),
      reads: chart("Reads", perSecond, "calls ended", { least: 10 }),
      writeTimes: chart("Write latency", time, "until a majority has it", { least: 1e6 }),
      readTimes: chart("Read latency", time, "linearizable", { least: 1e6 }),
      sync: chart("Log sync", time, "mean of fdatasync", { least: 1e5 }),
      lag: chart("Lag", number, "log entries behind the leader", { least: 10 }),
      traffic: chart("Client traffic", sizePerSecond, "messages of gRPC", bytes),
      watches: chart("Watches", perSecond, "", { least: 10 }),
      disk: chart("Database", size, "in use", bytes),
      memory: chart("Memory", size, "resident", bytes),
      cpu: chart("Processor", percent, "of one core", { least: 0.1 }),
      failed: chart("Refused or failed", perSecond, "calls", { least: 1 }),
    };
    byID("charts").replaceChildren(...Object.values(this.charts).map((each) => each.element));
  }

  show() {
    const members = [...this.cluster.members.values()].sort((a, b) => a.name.localeCompare(b.name, "en"));
    this.showCards(members);
    this.showAlarms(members);
    this.showCharts(members);
    const own = this.cluster.own;
    if (own) {
      say(byID("foot"),
        `Cluster ${own.clusterID} · revision ${whole(own.own.revision)}`
        + ` · compacted up to ${whole(Math.max(0, own.own.compactRevision))}`
        + ` · ${plural(own.traffic.connections, "connection")} here`
        + ` · Martlet ${own.own.version}, API of etcd ${own.own.etcdVersion} · charts show two minutes`);
    }
  }

  // MARK: Members

  /// What the leader knows of the others' logs, all as of one moment; null where nobody who leads has answered.
  leading(members) {
    return members.find((member) => member.data?.own.role === "leader" && member.data.own.id === member.data.own.leader)
      ?.data ?? null;
  }

  showCards(members) {
    const place = byID("members");
    const leading = this.leading(members);
    for (const [id, card] of this.cards) {
      if (!members.some((member) => member.id === id)) {
        card.element.remove();
        this.cards.delete(id);
      }
    }
    for (const member of members) {
      let card = this.cards.get(member.id);
      if (!card) {
        card = this.card(member);
        this.cards.set(member.id, card);
      }
      this.fill(card, member, leading);
    }
    members.forEach((member, at) => {
      const { element } = this.cards.get(member.id);
      if (place.children[at] !== element) place.insertBefore(element, place.children[at] ?? null);
    });
  }

  card(member) {
    const dot = make("i.dot");
    dot.style.background = `var(--${member.color})`;
    const card = { name: make("h2"), role: make("span.role"), id: make("p.id"), facts: make("dl"), why: make("p.why") };
    card.values = {};
    for (const name of FACTS) {
      card.values[name] = make("dd", {}, "–");
      card.facts.append(make("div", {}, make("dt", {}, name), card.values[name]));
    }
    card.element = make("article.member.panel", { "data-member": member.id },
      make("header", {}, dot, card.name, card.role), card.id, card.facts, card.why);
    return card;
  }

  fill(card, member, leading) {
    const { data, entry } = member;
    const isOwn = this.cluster.own?.own.id === member.id;
    const isUp = data !== null || (entry.link?.isConnected ?? false);
    let role = data?.own.role ?? (entry.isLearner ? "learner" : "");
    if (!role) role = this.cluster.own?.own.leader === member.id ? "leader" : "follower";
    if (!isUp) role = "down";
    card.element.dataset.role = role;
    say(card.name, member.name);
    say(card.role, role);
    say(card.id, `${member.id}${isOwn ? " · this page is from here" : ""}`);
    const own = data?.own;
    const set = (name, text, tone = "") => {
      say(card.values[name], text);
      card.values[name].dataset.tone = tone;
    };
    set("Lag", ...this.lag(member, leading));
    set("Term", own ? whole(own.term) : "–");
    set("Committed", own ? whole(own.commit) : "–");
    set("Applied", own ? whole(own.applied) : "–");
    set("Database", data ? size(data.disk.inUseBytes) : "–");
    set("File", data ? size(data.disk.sizeBytes) : "–");
    set("Ping", isOwn ? "here" : entry.link?.isConnected ? time(entry.link.roundTripNanoseconds || null) : "–");
    set("Memory", data ? size(data.process.residentBytes) : "–");
    set("Uptime", own ? span(own.uptimeSeconds) : "–");
    set("Version", own ? own.version : "–");
    const why = member.reason ? `Its own figures are not known: ${member.reason}.` : "";
    say(card.why, own?.failure ? `It has stopped: ${own.failure}` : why);
  }

  /// By the leader's own account, so that it is of one moment: what a member says of itself is always of another one.
  lag(member, leading) {
    if (!leading) return ["–", ""];
    if (leading.own.id === member.id) return ["leads", ""];
    const log = leading.members.find((entry) => entry.id === member.id)?.log;
    if (!log) return ["–", ""];
    if (log.state === "snapshot") return ["gets a snapshot", "fair"];
    if (!log.isActive) return [`silent, ${plural(log.lag, "entry", "entries")}`, "bad"];
    return log.lag === 0 ? ["none", "good"] : [plural(log.lag, "entry", "entries"), log.lag > 5000 ? "fair" : ""];
  }

  // MARK: Alarms

  showAlarms(members) {
    const alarms = this.cluster.own?.alarms ?? [];
    const state = JSON.stringify(alarms);
    if (state === this.alarms) return;
    this.alarms = state;
    document.querySelectorAll("#overview .alarm").forEach((each) => each.remove());
    byID("members").before(...alarms.map((alarm) => this.alarm(alarm, members)));
  }

  alarm(alarm, members) {
    const who = members.find((member) => member.id === alarm.member)?.name ?? "the cluster";
    const [text, advice] = {
      NOSPACE: [`Alarm NOSPACE: ${who} has used up its quota (--quota-backend-bytes). Writes are refused; reads and `
        + "deletions work.", "Delete what is not needed, compact, then disarm; or raise the quota. "
        + "Documentation/alarms.md has the steps."],
      CORRUPT: [`Alarm CORRUPT: ${who} has other data than the others. Nothing is read or written until it is `
        + "disarmed.",
        "Replace that member: remove it, and add it again with an empty directory. Documentation/alarms.md has the "
        + "steps."],
    }[alarm.kind] ?? [`Alarm ${alarm.kind}: ${who}.`, "Documentation/alarms.md"];
    return make("div.notice.bad.alarm", { role: "alert" },
      make("div", {}, make("strong", {}, text), make("p", {}, advice)),
      make("button", { type: "button", onclick: () => this.disarm(alarm, who) }, "Disarm"));
  }

  async disarm(alarm, who) {
    const isSure = await ask({
      title: `Disarm ${alarm.kind} of ${who}?`, action: "Disarm", danger: true,
      text: "It is raised again if its reason is still there.",
    });
    if (!isSure) return;
    const body = { action: "DEACTIVATE", memberID: BigInt("0x" + alarm.member).toString(), alarm: alarm.kind };
    try {
      await call("maintenance/alarm", body);
    } catch (error) {
      await ask({ title: "Not disarmed", text: error.message, action: "Close" });
    }
  }

  // MARK: Charts

  showCharts(members) {
    const heard = members.filter((member) => member.data);
    for (const member of members) {
      member.change = member.data && member.before ? between(member.before, member.data) : null;
    }
    const changes = heard.map((member) => member.change).filter((change) => change !== null);
    const sum = (name) => total(changes.map((change) => change[name]));
    const each = (read) => Object.fromEntries(members.map((member) =>
      [member.name, { value: member.data ? read(member) : null, color: member.color }]));
    const leading = this.leading(members);
    const charts = this.charts;
    const writes = together(changes.map((change) => change.writes));
    const reads = together(changes.map((change) => change.reads));

    charts.writes.add({
      puts: { value: sum("puts"), color: "series-1", main: true },
      txns: { value: sum("transactions"), color: "series-2" },
      deletes: { value: sum("deletions"), color: "series-3" },
    });
    charts.reads.add({ ranges: { value: sum("ranges"), color: "series-1", main: true } });
    for (const [chart, counts] of [[charts.writeTimes, writes], [charts.readTimes, reads]]) {
      chart.add({
        p50: { value: quantile(counts, 0.5), color: "series-1", main: true },
        p99: { value: quantile(counts, 0.99), color: "series-2" },
      });
    }
    charts.sync.add(each((member) => member.change?.sync ?? null));
    charts.lag.add(Object.fromEntries(members.filter((member) => member.id !== leading?.own.id).map((member) => {
      const log = leading?.members.find((entry) => entry.id === member.id)?.log;
      return [member.name, { value: log ? log.lag : null, color: member.color }];
    })));
    charts.traffic.add({
      in: { value: sum("received"), color: "series-1", main: true }, out: { value: sum("sent"), color: "series-2" },
    });
    charts.watches.add({ messages: { value: sum("watchMessages"), color: "series-1", main: true } });
    say(charts.watches.note, plural(total(heard.map((member) => member.data.traffic.watchers)) ?? 0, "watcher"));
    charts.disk.add(each((member) => member.data.disk.inUseBytes));
    const own = this.cluster.own;
    if (own) {
      const free = own.disk.freeBytes === undefined ? "" : ` · disk has ${size(own.disk.freeBytes)}`;
      say(charts.disk.note, (own.disk.quotaBytes ? `quota ${size(own.disk.quotaBytes)}` : "no quota") + free);
    }
    charts.memory.add(each((member) => member.data.process.residentBytes));
    charts.cpu.add(each((member) => member.change?.cpu ?? null));
    charts.failed.add({ calls: { value: sum("failed"), color: "series-3", main: true } });
  }
}

"""###),
        ConsoleFile(
            "services.js",
            ###"""
// Services: who has registered, how to reach them, and whether they are well.

import { Refreshed, byID, make, plural, say, span } from "./dom.js";

/// Of more services than these only the number is told, and of more instances of one.
const SERVICES = 50;
const INSTANCES = 100;

export class Services extends Refreshed {
  constructor() {
    super("service-count");
  }

  async load() {
    const { services, more } = await list("../service");
    const names = services.slice(0, SERVICES).map((service) => service.name);
    // Those that fail their checks, too.
    const found = await Promise.all(
      names.map((name) => list(`../service/${encodeURIComponent(name)}?healthy=false`)));
    if (!this.isShown) return;
    const rest = services.length > SERVICES ? `, the first ${SERVICES} of them` : "";
    say(byID("service-count"), plural(services.length, "service") + (more ? " and more" : "") + rest);
    const groups = found.map(({ service, instances }) => group(service, instances));
    byID("service-rows").replaceChildren(
      ...(groups.length ? groups : [make("p.quiet.empty", {}, "Nothing has registered.")]));
  }
}

async function list(path) {
  const answer = await fetch(new URL(path, document.baseURI), {
    cache: "no-store", credentials: "same-origin", headers: { accept: "application/json" },
  });
  if (!answer.ok) throw new Error(`HTTP status ${answer.status}`);
  return answer.json();
}

const COLUMNS = ["Instance", "Address", "Status", "Tags", "Weight", "Kept alive by", "Meta"];

function group(name, instances) {
  const rest = instances.length - INSTANCES;
  return make("div.scroll", { "data-service": name },
    make("table", {},
      make("caption", {}, make("b", {}, name), " ", make("span.quiet", {}, plural(instances.length, "instance"))),
      make("thead", {}, make("tr", {}, COLUMNS.map((column) => make("th", { scope: "col" }, column)))),
      make("tbody", {}, instances.slice(0, INSTANCES).map(row))),
    rest > 0 ? make("p.quiet", {}, `and ${rest} more`) : null);
}

function row(instance) {
  const host = instance.address.includes(":") ? `[${instance.address}]` : instance.address;
  const meta = Object.entries(instance.meta ?? {}).map(([key, value]) => `${key}=${value}`).join(" ");
  return make("tr", { "data-instance": instance.id },
    make("td.key", {}, instance.id), make("td", {}, `${host}:${instance.port}`), make("td", {}, instance.status),
    make("td", {}, (instance.tags ?? []).join(" ")), make("td", {}, String(instance.weight)),
    make("td", {}, keeper(instance)), make("td", {}, meta));
}

/// What ends the registration: its check, or a lease that its owner renews.
export function keeper(instance) {
  if (instance.check) return `a check by ${instance.check.type} every ${instance.check.interval ?? "10s"}`;
  if (instance.lease) return instance.ttl ? `its owner, within ${span(instance.ttl)}` : "its owner's lease";
  return "nothing: it stays until it is deleted";
}

"""###),
    ]
}
