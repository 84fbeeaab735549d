// Services that have registered, where the member has a list of them (GET /service).

import { byID, make, plural, say } from "./dom.js";

const REFRESH = 3000;
const ROWS = 200;

export class Services {
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
      const answer = await fetch(new URL("../service", document.baseURI), {
        cache: "no-store", credentials: "same-origin", headers: { accept: "application/json" },
      });
      if (!answer.ok) throw new Error(`HTTP status ${answer.status}`);
      const rows = listed(await answer.json());
      say(byID("service-count"), plural(rows.length, "entry", "entries"));
      byID("service-rows").replaceChildren(table(rows.slice(0, ROWS)));
    } catch (error) {
      say(byID("service-count"), error.message);
    }
    if (this.isShown) this.timer = setTimeout(() => this.refresh(), REFRESH);
  }
}

/// One row an entry, whatever way they are nested: a list of objects, or objects and lists by name.
export function listed(value, name = null) {
  if (Array.isArray(value)) return value.flatMap((each) => listed(each, name));
  if (value === null || typeof value !== "object") return [{ ...(name ? { name } : {}), value }];
  const values = Object.values(value);
  const isGroup = values.length > 0 && values.every((each) => each !== null && typeof each === "object");
  if (isGroup) return Object.entries(value).flatMap(([key, each]) => listed(each, name ? `${name}/${key}` : key));
  return [name && !("name" in value) ? { name, ...value } : value];
}

function table(rows) {
  if (!rows.length) return make("p.quiet.empty", {}, "Nothing has registered.");
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const text = (value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : String(value ?? ""));
  return make("div.scroll", {}, make("table", {},
    make("thead", {}, make("tr", {}, columns.map((column) => make("th", {}, column)))),
    make("tbody", {}, rows.map((row) => make("tr", {}, columns.map((column) => make("td", {}, text(row[column]))))))));
}
