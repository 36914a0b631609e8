// The line above an answer: how many doubtful places it has, the way through them, and to the picture.

import { icon, make, speak } from "../dom.js";
import { say } from "../words.js";

export class Guide {
  #count = make("strong", {});
  #steps;

  /** `act`: {step(by), jump()}; `canFix` where corrections are kept. */
  constructor(act, canFix) {
    this.#steps = make(
      "span",
      { class: "steps" },
      this.#count,
      step("left", "doubtBefore", () => act.step(-1)),
      step("right", "doubtNext", () => act.step(1)),
      make("span", { class: "hint" }, say(canFix ? "doubtKeys" : "doubtKeysRead")),
    );
    const jump = make("button", { type: "button", class: "jump narrow-only", onclick: () => act.jump() }, icon("image"), say("toPicture"));
    this.node = make("div", { class: "guide" }, jump, this.#steps);
    this.tell(0);
  }

  /** Say how many doubtful places are left. */
  tell(count) {
    this.#steps.hidden = !count;
    this.#count.textContent = say(count === 1 ? "doubtOne" : "doubtMany", { n: count });
    if (!count && this.node.isConnected) speak(say("doubtNone"));
  }
}

function step(drawing, name, act) {
  return make("button", { type: "button", class: "icon", "aria-label": say(name), title: say(name), onclick: act }, icon(drawing));
}
