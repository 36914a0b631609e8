// Several answers to one question: one is shown, the others are a step away, two can be compared.

import { get } from "../api.js";
import { icon, make, speak } from "../dom.js";
import { say } from "../words.js";
import { compare } from "./compare.js";

const KEPT_AS = "sightline-variants";
/** So many questions are remembered to have several answers. */
const MOST = 200;

export class Variants {
  #turns;
  #shown = 0;

  /** `first` is the turn whose answer belongs to the conversation. */
  constructor(first) {
    this.#turns = [first];
  }

  /** Put another answer beside the others, and show it. */
  add(turn) {
    this.#turns.at(-1).node.after(turn.node);
    this.#turns.push(turn);
    this.show(this.#turns.length - 1);
  }

  /** Show one of the answers. */
  show(number) {
    this.#shown = number;
    this.#turns.forEach((turn, n) => {
      turn.node.hidden = n !== number;
      turn.node.querySelector(".variants")?.remove();
    });
    this.#turns[number].node.querySelector(".answer").append(this.#bar());
  }

  /** Show the same answer, as it is now. */
  redraw() {
    this.show(this.#shown);
  }

  #bar() {
    const place = say("answerOf", { n: this.#shown + 1, total: this.#turns.length });
    return make(
      "div",
      { class: "variants", role: "group", "aria-label": say("answers") },
      this.#step("left", "answerBefore", -1),
      make("span", {}, place),
      this.#step("right", "answerAfter", 1),
      make("button", { type: "button", class: "compare", onclick: () => this.#compare() }, icon("compare"), say("compare")),
      this.#shown ? make("small", {}, say("firstCounts")) : null,
    );
  }

  #step(drawing, name, by) {
    const to = this.#shown + by;
    const act = () => {
      this.show(to);
      speak(say("answerOf", { n: to + 1, total: this.#turns.length }));
      this.#turns[to].node.querySelector(`.variants [data-by="${by}"]:not(:disabled), .variants .compare`).focus();
    };
    const isEnd = !(to in this.#turns);
    return make("button", { type: "button", class: "icon", "data-by": String(by), "aria-label": say(name), disabled: isEnd, onclick: act }, icon(drawing));
  }

  #compare() {
    const right = this.#shown || this.#turns.length - 1;
    compare(this.#turns.map(({ text, job }) => ({ text, job })), 0, right);
  }
}

/** Remember that a job's question has another answer. */
export function remember(jobId, otherId) {
  const { [jobId]: others = [], ...rest } = readAll();
  const newest = Object.entries({ ...rest, [jobId]: [...others, otherId] }).slice(-MOST);
  try {
    localStorage.setItem(KEPT_AS, JSON.stringify(Object.fromEntries(newest)));
  } catch {
    // they are there for as long as the page is open
  }
}

/** Return the jobs of the other answers that are remembered and still stored. */
export async function others(jobId) {
  const ids = readAll()[jobId] ?? [];
  const jobs = await Promise.all(ids.map((id) => get(`/v1/jobs/${id}`).catch(() => null)));
  return jobs.filter(Boolean);
}

function readAll() {
  try {
    return JSON.parse(localStorage.getItem(KEPT_AS)) ?? {};
  } catch {
    return {};
  }
}
