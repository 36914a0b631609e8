// How long a waiting question still takes, as one figure: the wait and the answer together.

import { modelRuns } from "../frame/health.js";
import { duration, say } from "../words.js";

/** Return the sentence for a wait in seconds and a job's prediction; null where nothing is known. */
export function waiting(wait, predicted) {
  if (!modelRuns()) return say("waitsForModel");
  if (wait === null || wait === undefined) return null;
  const total = wait + (predicted?.run_s ?? 0);
  return total ? say("answerIn", { time: duration(total) }) : null;
}
