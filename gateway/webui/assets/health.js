// The line that tells how the service does.

import { get } from "./api.js";
import { find } from "./dom.js";
import { say } from "./words.js";

const EVERY_MS = 15_000;

/** Keep the line true; `seen` gets the running workers. Return what looks again at once. */
export function watchHealth(seen) {
  const again = () => look(seen);
  again();
  setInterval(again, EVERY_MS);
  return again;
}

async function look(seen) {
  const node = find("health");
  const [sentence, bad] = await state(seen);
  node.textContent = sentence;
  node.classList.toggle("bad", bad);
  node.hidden = false;
}

async function state(seen) {
  try {
    const queue = await get("/v1/queue", { quiet: true });
    seen(queue.workers);
    const models = [...new Set(queue.workers.map((worker) => worker.model.split("/").pop()))];
    if (!models.length) return [say("noWorkers"), true];
    const waiting = queue.queued ? ` · ${say("busy", { n: queue.queued })}` : "";
    return [`${models.join(", ")}${waiting}`, false];
  } catch (error) {
    return [say(error.status === 401 ? "needsKey" : "offline"), true];
  }
}
