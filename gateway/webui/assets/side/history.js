// What a conversation consists of, as the service keeps it.

import { get } from "../api.js";
import { takesWords } from "../settings/options.js";

/**
 * Return the parts of a conversation, oldest first: [{asked, job, text, reason}]. Turns outlive
 * their jobs; jobs that were stopped or failed have no turn.
 */
export async function history(id) {
  const [session, jobs] = await Promise.all([
    get(`/v1/sessions/${id}`),
    get(`/v1/jobs?session_id=${id}&limit=100`),
  ]);
  const byJob = new Map(jobs.data.map((job) => [job.id, job]));
  const said = session.turns.map((turn) => withTurn(turn, byJob.get(turn.job_id)));
  const turned = new Set(session.turns.map((turn) => turn.job_id));
  const rest = jobs.data.filter((job) => !turned.has(job.id)).map(withoutTurn);
  return [...said, ...rest].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

function withTurn(turn, job) {
  const images = [...documentIn(job), ...turn.images.map((id, n) => ({ id, name: nameOf(job, n) }))];
  const { prompt, preset, role, part } = turn;
  const asked = { prompt, preset, images, words: wordsOf(preset, job), role, part };
  return { at: turn.created_at, asked, job, text: turn.text, reason: turn.finish_reason };
}

function withoutTurn(job) {
  const images = [...documentIn(job), ...job.input.images.map(({ id }, n) => ({ id, name: nameOf(job, n) }))];
  const { preset } = job.input;
  const prompt = job.metadata.question ?? "…";
  return { at: job.created_at, asked: { prompt, preset, images, words: wordsOf(preset, job) }, job };
}

const nameOf = (job, n) => job?.input.images[n]?.name ?? job?.metadata?.files?.[n];

/** Return what the asker wrote beside a preset that takes words; the prompt has the preset's around. */
const wordsOf = (preset, job) => (preset && takesWords(preset) ? (job?.metadata?.question ?? "") : "");

/** Return the document of a job as a question shows it, in a list. */
function documentIn(job) {
  const file = job?.input.document;
  if (!file) return [];
  const only = file.pages.length === 1 && file.page_count > 1 ? file.pages[0] : undefined;
  return [{ id: file.id, name: file.name ?? job.metadata?.files?.[0], pages: file.page_count, only }];
}
