// Which model answers: a choice above the question where several are served, kept in this browser.

import { find, make } from "../dom.js";
import { say } from "../words.js";

const KEPT_AS = "sightline-model";

/** Offer the models that have workers; `models` as /v1/queue lists them. */
export function offerModels(models) {
  const served = models.filter((model) => model.workers > 0);
  served.sort((one, other) => other.default - one.default);
  const names = served.map((model) => model.model);
  const choice = find("model");
  if (names.join("\n") !== [...choice.options].map((option) => option.value).join("\n")) {
    const wanted = kept() ?? choice.value;
    choice.replaceChildren(...served.map(optionOf));
    choice.value = names.includes(wanted) ? wanted : names[0] ?? "";
  }
  find("models").hidden = names.length < 2;
}

/** Remember what is chosen, where the browser allows it. */
export function wireModels() {
  find("model").addEventListener("change", ({ target }) => {
    try {
      localStorage.setItem(KEPT_AS, target.value);
    } catch {
      // it holds for as long as the page is open
    }
  });
}

/** Return the model that is to answer; null leaves it to the service. */
export const chosenModel = () => (find("models").hidden ? null : find("model").value || null);

function optionOf({ model, default: usual }) {
  const short = model.split("/").pop();
  return make("option", { value: model }, usual ? say("modelByDefault", { name: short }) : short);
}

function kept() {
  try {
    return localStorage.getItem(KEPT_AS);
  } catch {
    return null;
  }
}
