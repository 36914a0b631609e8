// The ready-made questions: a button for every preset of the service.

import { presetIcon } from "../asked.js";
import { find, make } from "../dom.js";
import { presetName, told } from "../words.js";

/** Offer every preset; `ask` is called with the name of the chosen one. */
export function offerPresets(ask) {
  const buttons = told.presets.map(({ name, own, description }) => {
    // the words of the page say it better than the service's English, where they have some
    const title = own && description ? description : undefined;
    return make("button", { type: "button", title, onclick: () => ask(name) }, presetIcon(name), presetName(name));
  });
  find("presets").replaceChildren(...buttons);
}

/** Let the presets be pressed, or not. */
export function enablePresets(on) {
  for (const button of find("presets").children) button.disabled = !on;
}
