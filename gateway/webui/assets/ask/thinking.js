// Whether the model thinks before it answers: a choice where one that can is running, kept in this browser.

import { find } from "../dom.js";
import { chosenModel } from "./model.js";

const KEPT_AS = "sightline-thinking";
let thinkers = new Set();

/** Offer the choice where the model that is to answer can think; `workers` as /v1/queue lists them. */
export function offerThinking(workers) {
  thinkers = new Set(workers.filter((worker) => worker.thinks).map((worker) => worker.model));
  show();
}

/** Remember what is chosen, where the browser allows it. */
export function wireThinking() {
  const choice = find("think");
  find("model").addEventListener("change", show);
  try {
    choice.value = localStorage.getItem(KEPT_AS) ?? "";
    if (choice.selectedIndex < 0) choice.value = "";
    choice.addEventListener("change", () => localStorage.setItem(KEPT_AS, choice.value));
  } catch {
    // it holds for as long as the page is open
  }
}

/** Return whether the model is to think; null leaves it to the model. */
export function chosenThinking() {
  const { value } = find("think");
  return find("thinks").hidden || !value ? null : value === "yes";
}

function show() {
  const model = chosenModel();
  find("thinks").hidden = model ? !thinkers.has(model) : !thinkers.size;
}
