// The asker's half of a turn: pictures, words or the name of a preset.

import { imageAddress } from "./api.js";
import { find, icon, make } from "./dom.js";
import { presetName, say } from "./words.js";

/** Return the node of a question: {prompt, preset, images: [{id, address?}]}. */
export function question({ prompt, preset, images }) {
  const shown = images.length ? make("div", { class: "shown" }, ...images.map(picture)) : null;
  const named = preset && preset !== "qa";
  const words = named
    ? make("p", { class: "named" }, presetIcon(preset), presetName(preset))
    : make("p", {}, prompt);
  return make("div", { class: "asked" }, make("span", { class: "unseen" }, say("you")), shown, words);
}

/** Return the drawing of a preset; presets of the operator share one. */
export function presetIcon(name) {
  return icon(document.getElementById(`i-${name}`) ? name : "text");
}

function picture({ id, address }, number) {
  const image = make("img", { alt: "" });
  const button = make("button", { type: "button", "aria-label": say("enlarge", { n: number + 1 }) }, image);
  image.addEventListener("error", () => button.replaceWith(make("p", { class: "gone" }, say("imageGone"))));
  button.addEventListener("click", () => enlarge(image.src));
  if (address) image.src = address;
  else imageAddress(id).then((found) => (image.src = found), () => image.dispatchEvent(new Event("error")));
  return button;
}

function enlarge(address) {
  find("viewed").src = address;
  find("viewer").showModal();
}
