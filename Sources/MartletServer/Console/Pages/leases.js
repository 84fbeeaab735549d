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
