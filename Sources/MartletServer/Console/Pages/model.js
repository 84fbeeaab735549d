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
