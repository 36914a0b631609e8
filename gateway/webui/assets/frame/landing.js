// The end of a conversation: where it opens, and stays while pictures above are still loading.

import { find } from "../dom.js";

/** Pictures of a conversation that is opened have this long to come. */
const SETTLE_MS = 4000;

/** Go to the end. */
export function toEnd() {
  find("scroll").scrollTop = find("scroll").scrollHeight;
}

/** Go to the end and stay there until everything has its size, or somebody scrolls. */
export function landAtEnd() {
  const keeping = new ResizeObserver(toEnd);
  const stop = () => keeping.disconnect();
  keeping.observe(find("turns"));
  for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    find("scroll").addEventListener(kind, stop, { once: true, passive: true });
  }
  setTimeout(stop, SETTLE_MS);
  toEnd();
}
