// The bar that tells how far an answer has come, tile by tile for a long picture.

import { make } from "./dom.js";
import { say } from "./words.js";

/** More tiles than this are one bar. */
const MOST_SEGMENTS = 40;

/** Return the bar of a job's progress. */
export function bar({ percent, pages_total: pages, pages_done: ready, tiles_total: tiles = pages, tiles_done: done = ready }) {
  const parts = tiles && tiles <= MOST_SEGMENTS ? tiles : 1;
  const segments = Array.from({ length: parts }, (_, n) => {
    const filled = make("i");
    const share = parts === 1 ? percent : n <= done ? 100 : 0;
    filled.style.width = `${share}%`;
    filled.classList.toggle("doing", parts > 1 && n === done);
    return make("span", {}, filled);
  });
  const label = { role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": say("answer") };
  return make("div", { class: "bar", "aria-valuenow": percent, ...label }, ...segments);
}
