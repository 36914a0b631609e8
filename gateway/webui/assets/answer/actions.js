// What can be done with an answer: copy, save, ask once more; and the facts of its making.

import { icon, make, speak } from "../dom.js";
import { duration, say, told } from "../words.js";
import { saver } from "./saving.js";

/** A longer answer is offered at least this many tokens. */
const LONGER_TOKENS = 1024;
const COPIED_MS = 1600;

export class Actions {
  #turn;

  /** `turn` has the `text`, the `job` and what asks `again` or for another answer (`renew`). */
  constructor(turn) {
    this.#turn = turn;
    this.node = make("div", { class: "foot" });
  }

  get empty() {
    return !this.node.childElementCount;
  }

  /** Offer what suits an ended job; null where only the words are known any more. */
  offer(job, failed = false) {
    const { text, again, renew } = this.#turn;
    const lost = failed || (job && job.status !== "succeeded");
    const more = again && job ? longer(job) : 0;
    this.node.replaceChildren();
    if (text) this.#add("copy", "copyText", (button) => copy(button, this.#turn.corrected));
    if (text && job?.output) this.node.append(saver(job));
    if (more) this.#add("again", "longer", () => again(this.#turn, more));
    if (lost && again) this.#add("again", "again", () => again(this.#turn));
    if (!lost && job && renew) this.#add("again", "renew", () => renew(this.#turn));
    const facts = job ? factsOf(job) : "";
    if (facts) this.node.append(make("span", { class: "facts" }, facts));
  }

  #add(drawing, name, act) {
    const button = make("button", { type: "button" }, icon(drawing), make("span", {}, say(name)));
    button.addEventListener("click", () => act(button));
    this.node.append(button);
  }
}

/** Return a longer bound for an answer that was cut off; 0 where there is none. */
function longer(job) {
  if (job.output?.finish_reason !== "length") return 0;
  const now = job.usage?.completion_tokens ?? 0;
  const more = Math.min(told.max_tokens, Math.max(LONGER_TOKENS, 4 * now));
  return more > now ? more : 0;
}

/** Return how an answer was made, in a line. */
export function factsOf(job) {
  const facts = [];
  if (job.started_at && job.completed_at) {
    const seconds = (Date.parse(job.completed_at) - Date.parse(job.started_at)) / 1000;
    facts.push(say("took", { time: duration(seconds) }));
  }
  const reader = job.output?.reader;
  if (reader && reader !== "model") facts.push(say(`readBy_${reader}`));
  if (job.usage?.image_tokens) facts.push(say("tokens", { n: job.usage.image_tokens }));
  if (job.cache?.features === "hit" || job.cache?.prefix === "hit") facts.push(say("cached"));
  return facts.join(" · ");
}

async function copy(button, text) {
  const label = button.querySelector("span");
  const before = label.textContent;
  try {
    await navigator.clipboard.writeText(text);
    label.textContent = say("copied");
  } catch {
    label.textContent = say("copyFailed");
  }
  speak(label.textContent);
  setTimeout(() => (label.textContent = before), COPIED_MS);
}
