// The asker's half of a turn: pictures, words or the name of a preset.

import { imageAddress } from "./api.js";
import { find, icon, make } from "./dom.js";
import { presetName, say } from "./words.js";

/** More pictures than these are shown in a small grid. */
const FEW = 3;
/** Longer instructions are opened by whoever wants to read them. */
const SHORT = 300;

/** Return the node of a question: {prompt, preset, words, images: [{id, address?}], part?}. */
export function question({ prompt, preset, words, images, part }) {
  if (part === "answer") return make("div", { hidden: true });
  const named = preset && preset !== "qa";
  const own = named ? words : prompt;
  return make(
    "div",
    { class: "asked" },
    make("span", { class: "unseen" }, say("you")),
    images.length ? make("div", { class: images.length > FEW ? "shown many" : "shown" }, ...images.map(shown)) : null,
    named ? make("p", { class: "named" }, presetIcon(preset), presetName(preset)) : null,
    own ? make("p", {}, own) : null,
  );
}

/** Return the node of an instruction to the model, which a program has added to the conversation. */
export function instruction({ prompt }) {
  const isOpen = prompt.length < SHORT;
  const whole = make("details", { open: isOpen }, make("summary", {}, say("instruction")), make("p", { dir: "auto" }, prompt));
  return make("li", { class: "instruction" }, whole);
}

const shown = (one, n) => (one.pages ? file(one) : picture(one, n));

/** Return the drawing of a preset; presets of the operator share one. */
export function presetIcon(name) {
  return icon(document.getElementById(`i-${name}`) ? name : "text");
}

/** Return the name of a document, or of its page that is asked about; its pages stand below. */
function file({ name, pages, only }) {
  const which = only ? say("pageNumber", { n: only }) : say("pageCount", { n: pages });
  return make("p", { class: "file" }, icon("text"), [name, which].filter(Boolean).join(" · "));
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
