// What a question would cost, before it is asked.

import { post } from "./api.js";
import { MAX_TOKENS } from "./talk.js";
import { duration, failure, say } from "./words.js";

let offered = true;

/** Return the service's estimate for a question about uploaded pictures; null where it has none. */
export async function estimate(words, images) {
  if (!offered) return null;
  try {
    return await post("/v1/estimate", { prompt: words || "?", max_new_tokens: MAX_TOKENS, images });
  } catch (error) {
    offered = error.status !== 404 && error.status !== 405;
    return null;
  }
}

/** Return an estimate in sentences. */
export function costs({ seconds, queue, tiles, document, admitted, refusal }) {
  if (!admitted) return `${say("refusedNow")} ${failure(refusal).message}`;
  const sentences = [];
  if (seconds) {
    const [time, most] = [duration(seconds.p50), duration(seconds.p95)];
    sentences.push(say(time === most ? "estimate" : "estimateTo", { time, most }));
  }
  if (queue?.wait_s >= 1) sentences.push(say("estimateWait", { wait: duration(queue.wait_s) }));
  if (tiles > 1 && !document) sentences.push(say("estimateTiles", { n: tiles }));
  return sentences.join(" ");
}
