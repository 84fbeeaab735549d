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
