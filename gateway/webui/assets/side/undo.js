// What was done can be undone for a while: a line at the page's foot with a button.

import { find, make } from "../dom.js";
import { say } from "../words.js";

/** Time enough to read it and to get there by keyboard. */
const OFFERED_MS = 10_000;
let settle = () => {};

// what is pending when the page closes is done
addEventListener("pagehide", () => settle());

/** Show a sentence with a button; `undo` is called if it is pressed, `end` once it no longer can be. */
export function offerUndo(sentence, { undo, end }) {
  settle();
  const node = find("undo");
  const button = make("button", { type: "button" }, say("undo"));
  let timer = 0;
  const close = (act) => {
    clearTimeout(timer);
    settle = () => {};
    node.hidden = true;
    act();
  };
  const wait = () => {
    timer = setTimeout(() => (isHeld(node) ? wait() : close(end)), OFFERED_MS);
  };
  settle = () => close(end);
  button.addEventListener("click", () => close(undo));
  node.replaceChildren(make("span", {}, sentence), button);
  node.hidden = false;
  button.focus();
  wait();
}

/** Is somebody at it, by pointer or by keyboard? */
const isHeld = (node) => node.matches(":hover, :has(:focus-visible)");
