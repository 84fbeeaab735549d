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
