// The pill that tells which model runs, or that none does, with the way to another one.

import { get } from "../api.js";
import { find } from "../dom.js";
import { say } from "../words.js";

const EVERY_MS = 15_000;
let running = true;
let models = { of: null, demo: false };

/** Keep the pill true; `seen` gets what /v1/queue tells. Return what looks again at once. */
export function watchHealth(seen) {
  const again = () => look(seen);
  again();
  setInterval(again, EVERY_MS);
  return again;
}

/** Does a model run, as far as is known? */
export const modelRuns = () => running;

async function look(seen) {
  const node = find("health");
  const { sentence, short = sentence, bad = false, help = false } = await state(seen);
  find("health-words").textContent = sentence;
  node.dataset.short = short;
  node.classList.toggle("bad", bad);
  // only what leads somewhere is a link
  if (help) node.setAttribute("href", `${document.body.dataset.base}/docs/models`);
  else node.removeAttribute("href");
  node.title = help ? say("getModel") : "";
  node.hidden = false;
}

async function state(seen) {
  try {
    const queue = await get("/v1/queue", { quiet: true });
    seen(queue);
    running = queue.workers.length > 0;
    if (!running) return missing(queue.starting ?? []);
    return await modelState(queue);
  } catch (error) {
    return { sentence: say(error.status === 401 ? "needsKey" : "offline"), bad: true };
  }
}

/** What is to be said of workers without a model: how far they are, or why they gave up. */
function missing(starting) {
  const at = starting.find((worker) => !worker.problem);
  if (!at) {
    const gaveUp = starting.find((worker) => worker.problem);
    const sentence = gaveUp ? say(`cannotStart_${gaveUp.problem}`) : say("noWorkers");
    return { sentence, short: say("noWorkers"), bad: true, help: true };
  }
  const words = at.kind === "download" ? "modelDownloads" : "modelLoads";
  const far = at.percent === null ? "" : ` ${at.percent} %`;
  const minutes = Math.ceil((at.seconds_left ?? 0) / 60);
  const left = minutes ? ` · ${say("minutesLeft", { n: minutes })}` : "";
  return { sentence: say(words) + far + left, short: say(words) + far, bad: true };
}

async function modelState({ workers, queued }) {
  const names = [...new Set(workers.map((worker) => worker.model))];
  const waiting = queued ? ` · ${say("busy", { n: queued })}` : "";
  if (await isDemo(names)) {
    return { sentence: say("demoModel") + waiting, short: say("demoShort") + waiting, help: true };
  }
  return { sentence: names.map((name) => name.split("/").pop()).join(", ") + waiting };
}

/** Tell whether only the bundled model runs; asked for once for the same models. */
async function isDemo(names) {
  const of = names.join("\n");
  if (models.of !== of) {
    const { data } = await get("/v1/models", { quiet: true });
    models = { of, demo: data.length > 0 && data.every((model) => model.demo) };
  }
  return models.demo;
}
