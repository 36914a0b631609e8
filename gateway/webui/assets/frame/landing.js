// The end of a conversation: where it opens, and stays while pictures above are still loading.

import { find } from "../dom.js";

/** Pictures of a conversation that is opened have this long to come. */
const SETTLE_MS = 4000;

/** Pixels of a picture that is below its text which are seen when the text has come to its end. */
const PEEK_PX = 96;
/** Who is so near to the end follows what is written. */
const NEAR_PX = 120;

/** Return how far the conversation is scrolled at its end: that of the text, where a picture is below. */
function endOf(scroll) {
  const whole = scroll.scrollHeight - scroll.clientHeight;
  const last = find("turns").lastElementChild;
  const [pane, foot] = [last?.querySelector(".pane"), last?.querySelector(".foot")];
  if (!pane || pane.getBoundingClientRect().top < foot.getBoundingClientRect().bottom) return whole;
  const below = pane.getBoundingClientRect().top - scroll.getBoundingClientRect().bottom;
  return Math.max(0, Math.min(whole, scroll.scrollTop + below + PEEK_PX));
}

/** Go to the end. */
export function toEnd() {
  find("scroll").scrollTop = endOf(find("scroll"));
}

/** Change what is shown; who is near the end stays there. */
export function stayAtEnd(change) {
  const scroll = find("scroll");
  const isNear = scroll.scrollTop > endOf(scroll) - NEAR_PX;
  change();
  if (isNear) toEnd();
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
