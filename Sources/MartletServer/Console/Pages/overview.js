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
