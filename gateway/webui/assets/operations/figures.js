// The figures at the head of the page: what waits, what runs, how fast it goes.

import { find } from "../dom.js";
import { duration, say } from "../words.js";

const HOUR_MS = 3_600_000;

/** Show the state of the queue and its workers; `history` is null where it was not asked for. */
export function showFigures(queue, workers, history) {
  const slots = sum(workers.filter((worker) => !worker.draining), "slots");
  put("waiting", queue.queued, waitingWords(queue));
  put("running", queue.running, say("runningMore", { busy: sum(workers, "busy"), slots }));
  put("wait", queue.wait_s === null ? "–" : duration(queue.wait_s), queue.wait_s === null ? say("waitUnknown") : "");
  if (history) showEnds(history.filter((point) => Date.now() - Date.parse(point.at) < HOUR_MS));
}

function waitingWords({ queued, scheduled, oldest_wait_s }) {
  const longest = queued ? say("waitingMore", { time: duration(oldest_wait_s) }) : "";
  const later = scheduled ? say("scheduledMore", { n: scheduled }) : "";
  return [longest, later].filter(Boolean).join(" · ");
}

function showEnds(points) {
  const done = sum(points, "succeeded");
  const seconds = sum(points, "seconds");
  put("done", seconds ? rounded((60 * done) / seconds) : "–", say("doneMore", { n: done }));
  put("failedTile", sum(points, "failed"), say("failedMore"));
}

const sum = (items, name) => items.reduce((total, item) => total + item[name], 0);
const rounded = (number) => (number < 10 ? Math.round(number * 10) / 10 : Math.round(number));

function put(id, value, more) {
  find(id).textContent = String(value);
  find(`${id}-more`).textContent = more;
}
