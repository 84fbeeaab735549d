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
