// What a question would cost, before it is asked: one figure, kept true while the queue moves.

import { post } from "../api.js";
import { jobBody } from "../request.js";
import { duration, failure, say } from "../words.js";

let offered = true;
/** Refusals that say nothing of the question itself. */
const ASIDE = [401, 404, 405, 429];

/**
 * Return the service's estimate for a question, as it would be sent; null where it has none. What
 * would be refused for its input has a `problem`.
 */
export async function estimate(asked) {
  if (!offered) return null;
  const { session_id: _, metadata: __, ...body } = jobBody(asked, null);
  try {
    return await post("/v1/estimate", body);
  } catch (error) {
    offered = error.status !== 404 && error.status !== 405;
    const isOfInput = error.status >= 400 && error.status < 500 && !ASIDE.includes(error.status);
    return isOfInput ? { problem: error } : null;
  }
}

/** Return an estimate for so many pictures as {sentence, bad}. */
export function costs({ problem, seconds, queue, tiles, document, admitted, refusal }, pictures) {
  if (problem) return { sentence: sentenceOf(problem), bad: true };
  if (!admitted) return { sentence: `${say("refusedNow")} ${failure(refusal).message}`, bad: true };
  const sentences = [];
  // the seconds are from now to the answer: the wait is part of them
  if (seconds) sentences.push(say(queue?.position ? "estimateQueued" : "estimate", { time: duration(seconds.p50), n: queue.position }));
  // pictures that are read one by one are no tiles
  if (tiles > pictures && !document) sentences.push(say("estimateTiles", { n: tiles }));
  return { sentence: sentences.join(" "), bad: false };
}

function sentenceOf(problem) {
  const { message, hint } = failure(problem);
  return `${message} ${hint}`;
}
