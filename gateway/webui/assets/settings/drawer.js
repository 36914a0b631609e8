// The drawer with the settings: what is chosen in it holds at once.

import { find } from "../dom.js";
import { objectionTo } from "./options.js";
import { choose, onChange, reset, settings } from "./store.js";

/** Let the drawer open, change settings and show them. */
export function wireDrawer() {
  const drawer = find("settings");
  find("settings-open").addEventListener("click", () => openDrawer());
  find("settings-close").addEventListener("click", () => drawer.close());
  find("settings-reset").addEventListener("click", () => reset());
  // a press beside the drawer is one on the dialog itself
  drawer.addEventListener("click", (event) => event.target === drawer && drawer.close());
  find("settings-form").addEventListener("input", (event) => choose(chosenBy(event.target)));
  onChange(show);
  show();
}

/** Open the drawer, at one of its fields. */
export function openDrawer(name = null) {
  find("settings").showModal();
  if (name) find("settings-form").elements[name].focus();
}

function chosenBy({ name, value }) {
  if (name !== "steps") return { [name]: value };
  const boxes = [...find("settings-form").querySelectorAll("[name=steps]")];
  return { steps: boxes.filter((box) => box.checked).map((box) => box.value) };
}

function show() {
  const now = settings();
  for (const field of find("settings-form").elements) {
    if (field.name === "steps") field.checked = now.steps.includes(field.value);
    // what is being typed is not touched
    else if (field.name && field !== document.activeElement) field.value = now[field.name];
  }
  find("settings-steps").hidden = now.enhance !== "steps";
  find("settings-schema").hidden = now.form !== "schema";
  const trouble = find("settings-trouble");
  trouble.textContent = objectionTo(null)?.sentence ?? "";
  trouble.hidden = !trouble.textContent;
}
