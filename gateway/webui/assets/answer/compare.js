// Two answers to one question side by side, with what differs marked.

import { find, make } from "../dom.js";
import { say } from "../words.js";
import { factsOf } from "./actions.js";
import { differences } from "./differences.js";

/** Show two of the answers [{text, job}], by their numbers; others can be chosen. */
export function compare(answers, left, right) {
  const choices = [left, right].map((chosen, side) => choice(answers, chosen, side));
  const sides = choices.map((select) => {
    const words = make("div", { class: "compared", tabindex: "0", role: "region", "aria-label": select.getAttribute("aria-label") });
    const facts = make("p", { class: "quiet" });
    return { select, words, facts, node: make("section", {}, select, facts, words) };
  });
  const draw = () => show(answers, sides);
  for (const select of choices) select.addEventListener("change", draw);
  find("compare-sides").replaceChildren(...sides.map(({ node }) => node));
  draw();
  find("compare").showModal();
}

/** Let the dialog be closed. */
export function wireCompare() {
  find("compare-close").addEventListener("click", () => find("compare").close());
}

function choice(answers, chosen, side) {
  const options = answers.map((_, n) => make("option", { value: String(n), selected: n === chosen }, say("answerNumber", { n: n + 1 })));
  return make("select", { "aria-label": say(side ? "compareRight" : "compareLeft") }, ...options);
}

function show(answers, sides) {
  const chosen = sides.map(({ select }) => answers[Number(select.value)]);
  const texts = differences(chosen[0].text, chosen[1].text);
  sides.forEach(({ words, facts }, n) => {
    facts.textContent = chosen[n].job ? factsOf(chosen[n].job) : "";
    words.replaceChildren(...texts[n].map(([text, differs]) => (differs ? make("mark", {}, text) : text)));
  });
  const count = texts[0].concat(texts[1]).filter(([, differs]) => differs).length;
  find("compare-verdict").textContent = say(count ? "compareDiffers" : "compareSame");
}
