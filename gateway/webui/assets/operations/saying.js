// What the page says back: whether something was done, and why not; and its question beforehand.

import { find, speak } from "../dom.js";
import { failure } from "../words.js";

const SHOWN_MS = 8000;
let timer = 0;

/** Say that something was done, or why not. */
export function announce(sentence, { bad = false } = {}) {
  const node = find("said");
  clearTimeout(timer);
  node.textContent = sentence;
  node.classList.toggle("bad", bad);
  node.hidden = false;
  speak(sentence);
  timer = setTimeout(() => (node.hidden = true), SHOWN_MS);
}

/** Do something; where it fails, say why. */
export async function tell(act) {
  try {
    await act();
  } catch (error) {
    const { message, hint } = failure(error);
    announce([message, hint].filter(Boolean).join(" "), { bad: true });
  }
}

/** Ask whether something should be done; return the answer. */
export function areYouSure(question, warning = "") {
  const dialog = find("sure");
  find("sure-words").textContent = question;
  find("sure-warning").textContent = warning;
  find("sure-warning").hidden = !warning;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true });
  });
}
