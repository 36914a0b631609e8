// What can be done to a job: canceling and retrying it.

import { post } from "../api.js";
import { make } from "../dom.js";
import { say } from "../words.js";
import { announce, areYouSure, tell } from "./saying.js";

const UNENDED = ["queued", "scheduled", "running"];

/** Return the buttons of a job. */
export function actionsOf(job, changed) {
  if (UNENDED.includes(job.status)) return job.canceling ? [] : [button("cancel", "cancelJob", job, () => cancel(job, changed))];
  // one that has succeeded in parts can be retried where its caller sees what is missing
  return job.status === "succeeded" ? [] : [button("retry", "retryJob", job, () => retry(job, changed))];
}

const button = (words, label, { id }, onclick) => make("button", { type: "button", class: "act", "aria-label": say(label, { id }), onclick }, say(words));

async function cancel({ id }, changed) {
  if (!(await areYouSure(say("sureCancel")))) return;
  await tell(async () => {
    const { status } = await post(`/v1/ops/jobs/${id}/cancel`);
    announce(say(status === "canceled" ? "didCancel" : "didAskCancel", { id }));
    await changed();
  });
}

async function retry({ id, key }, changed) {
  if (!(await areYouSure(say("sureRetry", { key })))) return;
  await tell(async () => {
    const made = await post(`/v1/ops/jobs/${id}/retry`);
    announce(say("didRetry", { id: made.id }));
    await changed();
  });
}
