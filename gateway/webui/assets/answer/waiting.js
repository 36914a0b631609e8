// How long a waiting question still takes, as one figure: the wait and the answer together.

import { modelRuns } from "../frame/health.js";
import { duration, say } from "../words.js";

/** Return the sentence for the seconds until a job's end; null where they are not known. */
export function waiting(eta) {
  if (!modelRuns()) return say("waitsForModel");
  return eta ? say("answerIn", { time: duration(eta) }) : null;
}
