// Correcting a spot where it stands: Enter keeps what is typed, Escape leaves it as it was.

import { make, speak } from "../../dom.js";
import { failure, say } from "../../words.js";

/** Let a spot be typed over. `keep(text)` resolves once it is stored; `advice` says what is wanted. */
export function edit(node, text, { keep, advice = "" }) {
  if (node.querySelector("textarea")) return;
  const before = [...node.childNodes];
  const field = make("textarea", { class: "fixing", dir: "auto", rows: text.split("\n").length, cols: widthOf(text), "aria-label": say("fixLine") });
  field.value = text;
  const note = make("small", { class: "fix-note", role: "status" }, advice);
  node.replaceChildren(field, note);
  field.focus();
  field.select();
  const leave = () => node.contains(field) && node.replaceChildren(...before);
  field.addEventListener("blur", () => field.value === text && leave());
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    // Enter that chooses a Chinese word keeps nothing yet
    const isLast = event.key === "Enter" && !event.isComposing && !event.shiftKey;
    if (event.key !== "Escape" && !isLast) return;
    event.preventDefault();
    if (isLast && field.value !== text) return store(field, keep, note);
    node.focus({ preventScroll: true });
    leave();
  });
}

/** Return about how many columns a text takes; Chinese letters take two. */
const widthOf = (text) => Math.max(...text.split("\n").map((line) => [...line].reduce((sum, letter) => sum + (letter > "\u2e80" ? 2 : 1), 3)));

async function store(field, keep, note) {
  field.readOnly = true;
  try {
    await keep(field.value);
    speak(say("fixKept"));
  } catch (error) {
    const { message, hint } = failure(error);
    field.readOnly = false;
    field.setAttribute("aria-invalid", "true");
    note.classList.add("bad");
    note.textContent = [message, hint].filter(Boolean).join(" ");
  }
}
