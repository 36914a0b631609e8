// What a spot looks like in the text: its letters, the doubtful ones underlined, or what corrects them.

import { make } from "../../dom.js";
import { say } from "../../words.js";

/** Who says something without a key. */
const NOBODY = "anonymous";

/** Return the sentence about who has corrected a spot. */
export function correctionOf({ shown }, { by, reviewer }) {
  const name = reviewer ?? (by === NOBODY ? null : by);
  const was = shown ? "fixed" : "filled";
  return say(name ? `${was}By` : `${was}From`, { text: shown, by: name });
}

/** Return the words that stand where there is no value. */
export const missing = () => make("span", { class: "missing" }, say("noValue"));

/** Fill the node of a spot; `correction` is {value, by, reviewer} where someone has corrected it. */
export function paint(node, spot, { correction, isDoubtful }) {
  node.classList.toggle("doubtful", isDoubtful);
  node.classList.toggle("fixed", Boolean(correction));
  node.replaceChildren(...(correction ? corrected(spot, correction) : underlined(spot, isDoubtful)));
}

function corrected(spot, correction) {
  const title = correctionOf(spot, correction);
  const now = String(correction.value ?? "") || missing();
  return [spot.shown ? make("del", { title }, spot.shown) : null, make("ins", { title }, now)].filter(Boolean);
}

function underlined({ shown, text, doubt }, isDoubtful) {
  if (!shown) return [missing()];
  if (!isDoubtful) return [shown];
  const title = doubt?.sentences.join(" ") || say("doubtReview");
  const parts = [];
  let at = 0;
  for (const [start, stop] of doubt ? fitted(doubt.ranges, text, shown) : [[0, shown.length]]) {
    parts.push(shown.slice(at, start), make("mark", { class: "doubt", title }, shown.slice(start, stop)));
    at = stop;
  }
  return [...parts, shown.slice(at)].filter((part) => part !== "");
}

/** Return where ranges of a text are in another one that may have other blanks. */
function fitted(ranges, text, shown) {
  if (text === shown) return ranges;
  const [from, to] = [lettersOf(text), lettersOf(shown)];
  if (from.length !== to.length) return [[0, shown.length]];
  const moved = ranges.map(([start, stop]) => {
    const inside = to.filter((_, n) => from[n] >= start && from[n] < stop);
    return [inside[0], inside.at(-1) + 1];
  });
  return moved.filter(([start]) => start !== undefined);
}

const lettersOf = (text) => [...text.matchAll(/[^\s|\\]/g)].map(({ index }) => index);
