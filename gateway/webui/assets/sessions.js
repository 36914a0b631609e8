// The list of conversations at the side, and what is kept of each.

import { erase, get } from "./api.js";
import { find, icon, make } from "./dom.js";
import { presetName, say } from "./words.js";

const DAY_MS = 86_400_000;
const LISTED = 50;

/** Return a name for a conversation that nobody has used yet. */
export function newSession() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `s_${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Return what a conversation is called in the list. */
export function titleOf({ title, preset }) {
  if (preset && preset !== "qa") return presetName(preset);
  return title?.trim() || say("untitled");
}

/** Show the conversations, newest first; `forgotten` is called with the id of a deleted one. */
export async function list(current, forgotten) {
  const { data } = await get(`/v1/sessions?limit=${LISTED}`);
  const groups = new Map();
  for (const session of data) {
    const day = dayOf(session.updated_at);
    groups.set(day, [...(groups.get(day) ?? []), entry(session, current, forgotten)]);
  }
  const nodes = [...groups].flatMap(([day, entries]) => [
    make("h2", {}, say(day)),
    make("ul", {}, ...entries),
  ]);
  const none = make("p", { class: "quiet" }, say("noSessions"));
  find("sessions").replaceChildren(...(nodes.length ? nodes : [none]));
  return data.find((session) => session.id === current);
}

function dayOf(time) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  const at = Date.parse(time);
  if (at >= midnight) return "today";
  return at >= midnight - DAY_MS ? "yesterday" : "earlier";
}

function entry(session, current, forgotten) {
  const title = titleOf(session);
  const here = session.id === current;
  const link = make(
    "a",
    { href: `#${session.id}`, class: session.busy ? "working" : undefined, "aria-current": here ? "page" : undefined },
    title,
  );
  const bin = make(
    "button",
    { type: "button", class: "icon", "aria-label": say("deleteChat", { title }) },
    icon("trash"),
  );
  bin.addEventListener("click", async () => {
    if (!confirm(say("confirmDelete"))) return;
    await erase(`/v1/sessions/${session.id}`).catch(() => {});
    forgotten(session.id);
  });
  return make("li", { class: here ? "current" : undefined }, link, bin);
}

/**
 * Return what a conversation consists of, oldest first: [{asked, job, text, reason}]. Turns outlive
 * their jobs; jobs that were stopped or failed have no turn.
 */
export async function history(id) {
  const [session, jobs] = await Promise.all([
    get(`/v1/sessions/${id}`),
    get(`/v1/jobs?session_id=${id}&limit=100`),
  ]);
  const byJob = new Map(jobs.data.map((job) => [job.id, job]));
  const said = session.turns.map((turn) => ({
    at: turn.created_at,
    asked: { prompt: turn.prompt, preset: turn.preset, images: [...documentIn(byJob.get(turn.job_id)), ...turn.images.map((image) => ({ id: image }))] },
    job: byJob.get(turn.job_id),
    text: turn.text,
    reason: turn.finish_reason,
  }));
  const turned = new Set(session.turns.map((turn) => turn.job_id));
  const rest = jobs.data.filter((job) => !turned.has(job.id)).map(withoutTurn);
  return [...said, ...rest].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

function withoutTurn(job) {
  const images = [...documentIn(job), ...job.input.images.map(({ id }) => ({ id }))];
  const prompt = job.metadata.question ?? "…";
  return { at: job.created_at, asked: { prompt, preset: job.input.preset, images }, job };
}

/** Return the document of a job as a question shows it, in a list. */
function documentIn(job) {
  const file = job?.input.document;
  if (!file) return [];
  const only = file.pages.length === 1 && file.page_count > 1 ? file.pages[0] : undefined;
  return [{ id: file.id, name: file.name ?? job.metadata?.files?.[0], pages: file.page_count, only }];
}
