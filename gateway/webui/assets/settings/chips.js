// The settings that differ from how they were, in a row above the question; each can be taken back.

import { find, icon, make } from "../dom.js";
import { say } from "../words.js";
import { fieldNames } from "./forms.js";
import { openDrawer } from "./drawer.js";
import { changed, onChange, reset, settings } from "./store.js";

/** Keep the row true. */
export function wireChips() {
  onChange(show);
  show();
}

function show() {
  const names = changed();
  find("chips").replaceChildren(...names.map(chip));
  find("chips").hidden = !names.length;
}

function chip(name) {
  const words = `${say(`set_${name}`)}${say("colon")}${valueOf(name)}`;
  const label = make("button", { type: "button", onclick: () => openDrawer(name), title: say("settings") }, words);
  const back = make("button", { type: "button", class: "icon", "aria-label": say("takeBack", { what: words }) }, icon("close"));
  back.addEventListener("click", () => takeBack(name));
  return make("li", {}, label, back);
}

function takeBack(name) {
  reset(name, ...(name === "enhance" ? ["steps"] : []), ...(name === "form" ? ["fields", "schema"] : []));
  find("settings-open").focus();
}

function valueOf(name) {
  const { [name]: value, steps, fields, form } = settings();
  if (name === "longest") return say("tokensAtMost", { n: value });
  if (name === "enhance" && value === "steps") return steps.map((step) => say(`step_${step}`)).join(say("comma"));
  if (name === "fields" || (name === "form" && form === "fields")) return fieldNames(fields).join(say("comma"));
  return say(`${name === "form" ? "form_of" : name}_${value}`);
}
