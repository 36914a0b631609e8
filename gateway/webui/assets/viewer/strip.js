// What is known of the spot that is chosen, and what can be done with it.

import { icon, make, speak } from "../dom.js";
import { say } from "../words.js";

let strips = 0;

export class Strip {
  #quote = make("q", { dir: "auto" });
  #why;
  #fixes;

  /** `act`: {fix(), confirm(), back()}; `canFix` where the service keeps corrections. */
  constructor(act, canFix) {
    strips += 1;
    this.id = `why-${strips}`;
    this.#why = make("p", { id: this.id });
    this.#fixes = canFix ? [button("edit", "fix", act.fix), button("check", "confirmRight", act.confirm)] : [];
    const back = button("up", "backToText", act.back);
    back.classList.add("narrow-only");
    const acts = make("div", { class: "acts" }, ...this.#fixes, back);
    this.node = make("div", { class: "strip", role: "group", "aria-label": say("chosenSpot"), hidden: true }, this.#quote, this.#why, acts);
  }

  /** Show a spot and what there is to say of it; null shows nothing. */
  show(spot, sentences = []) {
    this.node.hidden = !spot;
    this.#quote.textContent = spot ? (spot.shown ?? spot.text) || say("noValue") : "";
    this.#why.textContent = sentences.join(" ");
    this.#why.classList.remove("trouble");
    for (const act of this.#fixes) act.hidden = !spot?.node || !spot.says;
  }

  /** Say why something was not kept. */
  complain(sentence) {
    this.#why.textContent = sentence;
    this.#why.classList.add("trouble");
    speak(sentence);
  }
}

function button(drawing, name, act) {
  return make("button", { type: "button", onclick: () => act() }, icon(drawing), make("span", {}, say(name)));
}
