// What the model thinks before it answers: folded, above the words of the answer.

import { make } from "../dom.js";
import { say } from "../words.js";

export class Thinking {
  #text = make("p", {});

  constructor() {
    this.node = make("details", { class: "thinking", hidden: true }, make("summary", {}, say("thinking")), this.#text);
  }

  /** Add what the model has thought meanwhile. */
  add(text) {
    this.show(this.#text.textContent + text);
  }

  /** Show all that it has thought; nothing where it has not. */
  show(text) {
    this.#text.textContent = text ?? "";
    this.node.hidden = !text;
  }
}
