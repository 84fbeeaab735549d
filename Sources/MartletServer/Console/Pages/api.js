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
