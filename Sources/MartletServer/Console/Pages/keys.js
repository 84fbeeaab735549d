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
