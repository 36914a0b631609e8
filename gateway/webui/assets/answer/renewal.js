// Asking a question once more as if it had no answer yet, to compare the two.

import { get, post } from "../api.js";
import { newName } from "../names.js";
import { jobBody } from "../request.js";
import { optionsFor } from "../settings/options.js";

/** How freely the words of another answer are chosen. */
const TEMPERATURE = 0.7;
const MOST_SEED = 2 ** 31;

/** Return the job of another answer to a turn's question in a conversation. */
export async function askAnew({ asked, job }, session) {
  const options = { ...optionsFor(asked.preset), ...otherwise(asked, job) };
  const { turns } = await get(`/v1/sessions/${session}`);
  const at = turns.findIndex((turn) => turn.job_id === job.id);
  const before = turns.slice(0, Math.max(0, at));
  const alone = !before.length || (asked.preset && asked.images.length > 0);
  const headers = { "Idempotency-Key": newName() };
  if (alone) return post("/v1/jobs", jobBody({ ...asked, options }, null), { headers });
  const body = await responseBody(turns[at], before, asked, options);
  const { id } = await post("/v1/responses", body, { headers });
  return get(`/v1/jobs/${id.replace("resp_", "job_")}`);
}

/** Return what makes the answer another one, unless the settings have changed meanwhile. */
function otherwise({ preset, options }, job) {
  if (options && JSON.stringify(options) !== JSON.stringify(optionsFor(preset))) return {};
  if (job.output?.reader === "second") return { reader: "model" };
  return { do_sample: true, temperature: TEMPERATURE, seed: Math.floor(Math.random() * MOST_SEED) };
}

/** Return the body of POST /v1/responses: what was said before the question, and the question. */
async function responseBody(turn, before, asked, options) {
  const { detail, max_new_tokens: tokens, response_format: format, do_sample: _, lang: __, ...own } = options;
  const documents = new Map();
  for (const { job_id: id } of [...before, turn]) {
    const job = await get(`/v1/jobs/${id}`).catch(() => null);
    if (job?.input.document) documents.set(id, job.input.document.id);
  }
  const asks = (one) => ({ role: "user", content: [...partsOf(one, documents, detail), { type: "input_text", text: one.prompt }] });
  return {
    model: "sightline",
    background: true,
    input: [...before.flatMap((one) => [asks(one), { role: "assistant", content: one.text }]), asks(turn)],
    ...(tokens ? { max_output_tokens: tokens } : {}),
    ...(format ? { text: { format: { type: format.type, ...format.json_schema } } } : {}),
    ...(asked.preset ? { preset: asked.preset } : {}),
    ...own,
  };
}

function partsOf(turn, documents, detail) {
  const file = documents.get(turn.job_id);
  const images = turn.images.map((id) => ({ type: "input_image", file_id: id, ...(detail ? { detail } : {}) }));
  return file ? [{ type: "input_file", file_id: file }] : images;
}
