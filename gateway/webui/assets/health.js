// The line that tells how the service does.

import { get } from "./api.js";
import { find } from "./dom.js";
import { say } from "./words.js";

const EVERY_MS = 15_000;

/** Keep the line true; return what looks again at once. */
export function watchHealth() {
  look();
  setInterval(look, EVERY_MS);
  return look;
}

async function look() {
  const node = find("health");
  const [sentence, bad] = await state();
  node.textContent = sentence;
  node.classList.toggle("bad", bad);
  node.hidden = false;
}

async function state() {
  try {
    const queue = await get("/v1/queue", { quiet: true });
    const models = [...new Set(queue.workers.map((worker) => worker.model.split("/").pop()))];
    if (!models.length) return [say("noWorkers"), true];
    const waiting = queue.queued ? ` · ${say("busy", { n: queue.queued })}` : "";
    return [`${models.join(", ")}${waiting}`, false];
  } catch (error) {
    return [say(error.status === 401 ? "needsKey" : "offline"), true];
  }
}
