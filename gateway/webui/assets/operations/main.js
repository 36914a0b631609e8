// The operations page's beginning: brings its parts together and keeps them live.

import { get } from "../api.js";
import { find } from "../dom.js";
import { wireKeys } from "../frame/keys.js";
import { nextTheme } from "../frame/theme.js";
import { duration, failure, say } from "../words.js";
import { showFigures } from "./figures.js";
import { showHistory } from "./history.js";
import { Jobs } from "./jobs.js";
import { wireDetails } from "./details.js";
import { showStarting } from "./starting.js";
import { Workers } from "./workers.js";

const EVERY_MS = 3000;
const HISTORY_EVERY_MS = 30_000;
/** How the two lengths of the history are named by their buttons. */
const HOUR_MINUTES = 60;

const workers = new Workers(refresh);
const jobs = new Jobs(refresh);
let minutes = HOUR_MINUTES;
let historyAt = 0;
let answeredAt = Date.now();
let timer = 0;
let round = 0;

wireDetails();
wireKeys(refresh, "/v1/ops/workers");
find("theme").addEventListener("click", nextTheme);
for (const button of document.querySelectorAll("[data-minutes]")) {
  button.addEventListener("click", () => {
    minutes = Number(button.dataset.minutes);
    for (const one of document.querySelectorAll("[data-minutes]")) one.setAttribute("aria-pressed", String(one === button));
    refresh();
  });
}
// a page that nobody sees asks for nothing
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
refresh();

/** Look at everything now, and again after a while. */
async function refresh() {
  clearTimeout(timer);
  historyAt = 0;
  await look();
}

async function look() {
  round += 1;
  const mine = round;
  const [outcome] = await Promise.allSettled([lookOnce()]);
  if (mine !== round) return;
  if (outcome.status === "fulfilled") answeredAt = Date.now();
  showPulse(outcome.reason);
  if (!document.hidden) timer = setTimeout(look, EVERY_MS);
}

async function lookOnce() {
  const isDue = Date.now() - historyAt >= HISTORY_EVERY_MS;
  const [fleet, queue] = await Promise.all([get("/v1/ops/workers"), get(`/v1/ops/queue?minutes=${isDue ? minutes : 1}`), jobs.refresh()]);
  workers.show(fleet.data);
  showStarting(fleet.starting);
  if (isDue) {
    historyAt = Date.now();
    showHistory(queue.history, minutes);
  }
  showFigures(queue, fleet.data, isDue ? queue.history : null);
}

function showPulse(error) {
  const pulse = find("pulse");
  pulse.classList.toggle("bad", Boolean(error));
  pulse.textContent = error ? say("stale", { time: duration(Math.max(1, (Date.now() - answeredAt) / 1000)) }) : say("live");
  const { message, hint } = error ? failure(error) : { message: "", hint: "" };
  find("trouble").textContent = [message, hint].filter(Boolean).join(" ");
  find("trouble").hidden = !error;
}
