// All that is known of one job, in a dialog.

import { find, make } from "../dom.js";
import { say, told } from "../words.js";
import { actionsOf } from "./actions.js";
import { kindOf, longDuration, moment, sizeOf, stateOf } from "./wording.js";

/** Let the dialog close. */
export function wireDetails() {
  const dialog = find("details");
  find("details-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}

/** Show a job; `changed` is called when something was done to it. */
export function showDetails(job, changed) {
  find("details-title").textContent = job.id;
  const acts = actionsOf(job, async () => {
    find("details").close();
    await changed();
  });
  const rows = factsOf(job).filter(([, value]) => value !== null && value !== undefined && value !== "");
  find("details-list").replaceChildren(...rows.map(([name, value]) => make("div", {}, make("dt", {}, say(name)), make("dd", {}, String(value)))));
  find("details-acts").replaceChildren(...acts);
  if (!find("details").open) find("details").showModal();
}

function factsOf(job) {
  const when = (text) => text && moment(text);
  return [
    ["status", say(`status_${job.status}`)],
    ["state", job.reason ? "" : stateOf(job)],
    ["reason", job.reason && `${told.words.errors[job.reason.code]?.[0] ?? job.reason.title} (${job.reason.code})`],
    ["key", job.key],
    ["kind", kindOf(job)],
    ["model", job.model],
    ["priority", job.queue],
    ["size", sizeOf(job)],
    ["promptTokens", job.size.prompt_tokens],
    ["completionTokens", job.size.completion_tokens],
    ["age", longDuration(job.age_s)],
    ["created", when(job.created_at)],
    ["notBefore", when(job.not_before)],
    ["started", when(job.started_at)],
    ["completed", when(job.completed_at)],
    ["worker", job.worker],
    ["attempt", job.attempt ? say("attemptOf", { n: job.attempt, most: job.max_attempts }) : ""],
    ["lost", job.lost || ""],
    ["retryOf", job.retry_of],
  ];
}
