// The HTTP API: JSON in and out, failures as exceptions, and events that survive a broken line.

const KEY = "sightline-key";
/** What all paths of the API begin with: the path below which a proxy offers the service. */
const BASE = document.body.dataset.base;
const TERMINAL = new Set(["job.succeeded", "job.failed", "job.canceled", "job.expired", "job.erased"]);

/** A refusal of the API; `problem` is its problem+json. */
export class Refused extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail ?? `HTTP ${status}`);
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

/** Remember the caller's key until the browser closes. */
export function useKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

/** Is there a key that the caller gave? */
export const hasKey = () => Boolean(sessionStorage.getItem(KEY));

let unauthorized = () => {};

/** Call `listener` whenever the service wants a key, or another one. */
export function onUnauthorized(listener) {
  unauthorized = listener;
}

function headers(more = {}) {
  const key = sessionStorage.getItem(KEY);
  return key ? { ...more, Authorization: `Bearer ${key}` } : more;
}

async function request(path, { quiet = false, ...options } = {}) {
  const response = await fetch(BASE + path, { ...options, headers: headers(options.headers) });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401 && !quiet) unauthorized();
  throw new Refused(response.status, problem, Number(response.headers.get("Retry-After")) || null);
}

/** Return the JSON answer to a GET; `quiet` asks nobody for a key. */
export const get = async (path, options) => (await request(path, options)).json();

/** Return the JSON answer to a POST of JSON. */
export async function post(path, body = {}, more = {}) {
  const answer = await request(path, {
    method: "POST",
    body: JSON.stringify(body),
    ...more,
    headers: { "Content-Type": "application/json", ...more.headers },
  });
  return answer.json();
}

/** Upload one file for a model (null: the service's own) and return what is told of the image. */
export async function upload(file, signal, model) {
  const form = new FormData();
  form.append("image", file, file.name || "image.png");
  const query = new URLSearchParams({ warm: 1, ...(model ? { model } : {}) });
  return (await request(`/v1/images?${query}`, { method: "POST", body: form, signal })).json();
}

/** Upload a document and return what the service tells of it and its pages. */
export async function uploadDocument(file, signal, password) {
  const form = new FormData();
  form.append("document", file, file.name || "document.pdf");
  if (password) form.append("password", password);
  return (await request("/v1/documents", { method: "POST", body: form, signal })).json();
}

/** Return an address under which an <img> can show a stored image. */
export const imageAddress = (id) => addressOf(`/v1/images/${id}/content`);

/** Return an address under which an <img> can show a page of a document, upright or as it is filed. */
export const pageAddress = (id, page, dpi, { turn = true } = {}) =>
  addressOf(`/v1/documents/${id}/pages/${page}/content?dpi=${dpi}${turn ? "" : "&turn=false"}`);

async function addressOf(path) {
  if (!hasKey()) return BASE + path;
  return URL.createObjectURL(await (await request(path)).blob());
}

/** Return the bytes under a path. */
export const fetchBlob = async (path) => (await request(path)).blob();

/** Erase what the path names. */
export const erase = (path, options = {}) => request(path, { ...options, method: "DELETE" });

/**
 * Yield the events of a job to its end, whatever breaks in between: {type, data}. The type
 * "line.broken" is ours.
 */
export async function* follow(jobId, signal) {
  let seen = 0;
  for (let failures = 0; ; failures += 1) {
    try {
      const path = `/v1/jobs/${jobId}/events?starting_after=${seen}`;
      const response = await request(path, { signal });
      for await (const event of frames(response.body)) {
        if (event.id) seen = event.id;
        failures = 0;
        yield event;
        if (TERMINAL.has(event.type)) return;
      }
    } catch (error) {
      if (signal.aborted || isFinal(error)) throw error;
    }
    yield { type: "line.broken", data: {} };
    await pause(failures);
  }
}

/** Wait before another try, longer after each failure. */
export const pause = (failures) => new Promise((go) => setTimeout(go, Math.min(8000, 500 * 2 ** failures)));

/** Is a refusal one that waiting does not change? */
export const isFinal = (error) => error instanceof Refused && error.status < 500 && error.status !== 429;

async function* frames(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const parts = text.split("\n\n");
      text = parts.pop();
      for (const part of parts) {
        const event = parsed(part);
        if (event) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function parsed(frame) {
  const fields = {};
  for (const line of frame.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
  if (!fields.event) return null;
  return { id: Number(fields.id) || 0, type: fields.event, data: JSON.parse(fields.data) };
}
